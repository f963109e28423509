"""The sizes of units, as tables: prefixes, symbols, words, and the dimension and exact size of each.

The tables are exact and small. pint is the oracle of their tests; at run time its import (0.4 s, 27 MB) and
registry (0.2 s) would cost more than thousands of votes, and it reads "Mb" as megabarn.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """The ``dimension`` in base units, the ``scale`` to them, and for temperatures the ``offset`` of zero.

    A word that is no known unit is its own dimension: what is counted. Two words have a space between them,
    and a known dimension has none.
    """

    dimension: str
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)


NO_UNIT = Unit("")
SHARE = "share"
"""The dimension of percent and its like, whose amounts are comparable with bare numbers."""

PREFIXES = {
    "p": -12,
    "n": -9,
    "µ": -6,
    "μ": -6,
    "u": -6,
    "m": -3,
    "c": -2,
    "d": -1,
    "h": 2,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
}
LARGE_PREFIXES = {"k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15}
BINARY_PREFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}
PREFIX_WORDS = {
    "pico": -12,
    "nano": -9,
    "micro": -6,
    "milli": -3,
    "centi": -2,
    "deci": -1,
    "hecto": 2,
    "kilo": 3,
    "mega": 6,
    "giga": 9,
    "tera": 12,
    "peta": 15,
}
BINARY_PREFIX_WORDS = {"kibi": 10, "mebi": 20, "gibi": 30, "tebi": 40, "pebi": 50}

METRIC = (
    # symbols, words without the plural's s, dimension, scale
    ("m", "meter metre", "m", Fraction(1)),
    ("g", "gram gramme", "g", Fraction(1)),
    ("s", "second sec", "s", Fraction(1)),
    ("A", "ampere amp", "A", Fraction(1)),
    ("K", "kelvin", "K", Fraction(1)),
    ("mol", "mole", "mol", Fraction(1)),
    ("cd", "candela", "cd", Fraction(1)),
    ("N", "newton", "g m s^-2", Fraction(10**3)),
    ("Pa", "pascal", "g m^-1 s^-2", Fraction(10**3)),
    ("J", "joule", "g m^2 s^-2", Fraction(10**3)),
    ("W", "watt", "g m^2 s^-3", Fraction(10**3)),
    ("Nm", "newton-meter newton-metre", "g m^2 s^-2", Fraction(10**3)),
    ("Hz", "hertz", "s^-1", Fraction(1)),
    ("C", "coulomb", "A s", Fraction(1)),
    ("V", "volt", "A^-1 g m^2 s^-3", Fraction(10**3)),
    ("\u03a9 \u2126", "ohm", "A^-2 g m^2 s^-3", Fraction(10**3)),
    ("F", "farad", "A^2 g^-1 m^-2 s^4", Fraction(1, 10**3)),
    ("H", "henry", "A^-2 g m^2 s^-2", Fraction(10**3)),
    ("T", "tesla", "A^-1 g s^-2", Fraction(10**3)),
    ("Wb", "weber", "A^-1 g m^2 s^-2", Fraction(10**3)),
    ("S", "siemens", "A^2 g^-1 m^-2 s^3", Fraction(1, 10**3)),
    ("lm", "lumen", "lm", Fraction(1)),
    ("lx", "lux", "lm m^-2", Fraction(1)),
    ("Bq", "becquerel", "Bq", Fraction(1)),
    ("Gy", "gray", "Gy", Fraction(1)),
    ("Sv", "sievert", "Sv", Fraction(1)),
    ("l L ℓ", "liter litre", "m^3", Fraction(1, 10**3)),
    ("eV", "electronvolt electron-volt", "g m^2 s^-2", Fraction(1_602_176_634, 10**25)),
    ("cal", "calorie", "g m^2 s^-2", Fraction(4184)),
    ("Wh", "watt-hour watthour", "g m^2 s^-2", Fraction(3_600_000)),
    ("Ah", "amp-hour ampere-hour", "A s", Fraction(3600)),
    ("bar", "bar", "g m^-1 s^-2", Fraction(10**8)),
    ("t", "tonne", "g", Fraction(10**6)),
    ("dB", "decibel", "dB", Fraction(1)),
)
DATA = (("bit b", "bit", Fraction(1)), ("B", "byte", Fraction(8)), ("bps", "", Fraction(1)))

_INCH = Fraction(254, 10_000)
_POUND = Fraction(45_359_237, 100_000)
_FORCE = _POUND * Fraction(980_665, 100_000)  # of a pound, in g m/s²
_GALLON = 231 * _INCH**3
_KELVIN_OF_ICE = Fraction(27_315, 100)
OTHER: dict[str, dict[str, Fraction | int]] = {
    # All spellings of one unit, plurals included, by dimension.
    "s": {
        "secs": 1,
        "min mins minute minutes": 60,
        "h hr hrs hour hours": 3600,
        "d day days": 86_400,
        "week weeks wk wks": 604_800,
        "fortnight fortnights": 1_209_600,
    },
    "month": {
        "month months mo": 1,
        "year years yr yrs": 12,
        "decade decades": 120,
        "century centuries": 1200,
        "millennium millennia": 12_000,
    },
    "m": {
        'in inch inches ″ "': _INCH,
        "ft foot feet ′ '": 12 * _INCH,
        "klick klicks": 1000,
        "furlong furlongs": 7920 * _INCH,
        "fathom fathoms": 72 * _INCH,
        "yd yds yard yards": 36 * _INCH,
        "mi mile miles": 63_360 * _INCH,
        "nmi;nautical mile;nautical miles": 1852,
        "\u00c5;\u212b;angstrom;angstroms;ångström;ångströms": Fraction(1, 10**10),
        "micron microns": Fraction(1, 10**6),
        "au;AU;astronomical unit;astronomical units": 149_597_870_700,
        "ly;light-year;light-years;light year;light years;lightyear;lightyears": 9_460_730_472_580_800,
    },
    "m^2": {
        "ha hectare hectares": 10_000,
        "acre acres": 6_272_640 * _INCH**2,
        "sqm": 1,
        "sqcm": Fraction(1, 10_000),
        "sqkm": 10**6,
        "sqft": 144 * _INCH**2,
    },
    "m^3": {
        "cc ccm": Fraction(1, 10**6),
        "cbm": 1,
        "gal gallon gallons": _GALLON,
        "qt quart quarts": _GALLON / 4,
        "pint pints": _GALLON / 8,
        "cup cups": _GALLON / 16,
        "fl oz;fluid ounce;fluid ounces": _GALLON / 128,
        "tbsp tablespoon tablespoons": _GALLON / 256,
        "tsp teaspoon teaspoons": _GALLON / 768,
    },
    "g": {
        "kilo kilos": 1000,
        "mcg mcgs": Fraction(1, 10**6),
        "quintal quintals": 10**5,
        "ct carat carats": Fraction(1, 5),
        "ton;tons;metric ton;metric tons": 10**6,
        "lb lbs": _POUND,
        "oz ounce ounces": _POUND / 16,
        "stone": 14 * _POUND,
    },
    "m^-3 mol": {"mM": 1, "µM μM uM": Fraction(1, 1000), "nM": Fraction(1, 10**6), "molar": 1000},
    "m s^-1": {
        "mps": 1,
        "kmh kph kmph": Fraction(5, 18),
        "mph": Fraction(1_609_344, 3_600_000),
        "kn kt kts knot knots": Fraction(1852, 3600),
    },
    "g m s^-2": {
        "dyn dyne dynes": Fraction(1, 100),
        "kgf": 9_806_650 / Fraction(1000),
        "lbf": _FORCE,
    },
    "g m^-1 s^-2": {
        "atm;atmosphere;atmospheres": 101_325_000,
        "torr;mmHg;mm Hg;millimeters of mercury": Fraction(101_325_000, 760),  # a mmHg to seven digits
        "psi": _FORCE / _INCH**2,
    },
    "g m^2 s^-2": {
        "erg ergs": Fraction(1, 10**4),
        "BTU btu": Fraction(105_505_585_262, 10**5),
        "electron volt;electron volts": Fraction(1_602_176_634, 10**25),
        "Cal;Cals;food calories": 4_184_000,
    },
    "g m^2 s^-3": {"hp horsepower": 550 * 12 * _INCH * _FORCE},
    "s^-1": {"rpm;RPM;revolutions per minute;rev/min;revs per minute;revs/min;r/min": Fraction(1, 60)},
    "beat s^-1": {"bpm BPM": Fraction(1, 60)},
    "frame s^-1": {"fps FPS": 1},
    "request s^-1": {"rps": 1},
    "m^-2": {"mpg": 63_360 * _INCH / _GALLON},
    "°": {
        "° degree degrees deg degs": 1,
        "arcmin arcminute arcminutes": Fraction(1, 60),
        "arcsec arcsecond arcseconds": Fraction(1, 3600),
    },
    "rad": {"rad rads radian radians": 1, "mrad milliradian milliradians": Fraction(1, 1000)},
    SHARE: {
        "%;percent;pct;pct.;per cent": Fraction(1, 100),
        "‰;permille;per mille;per mil;per thousand": Fraction(1, 1000),
        "ppt;parts per trillion": Fraction(1, 10**12),
        "ppm;parts per million": Fraction(1, 10**6),
        "ppb;parts per billion": Fraction(1, 10**9),
    },
    "pound": {"pound pounds": 1},
    "bps": {"bp;bps.;bps;basis point;basis points": 1},
    "point": {
        "pp;pps;p.p.;percentage point;percentage points;percent points;pct points;pct pts": 1,
        "%-point;%-points;% point;% points;pct point": 1,
    },
    "$": {
        "$;usd;US$;dollar;dollars;bucks;buck;US dollar;US dollars;U.S. dollars;American dollars"
        ";$ USD;$ US": 1,
        "¢ cent cents": Fraction(1, 100),
        "grand": 1000,
    },
    "€": {"€ eur euro euros": 1, "euro cent;euro cents": Fraction(1, 100)},
    "£": {
        "£;gbp;pound sterling;pounds sterling;sterling;quid": 1,
        "penny pence": Fraction(1, 100),
        "British pounds;UK pounds": 1,
    },
    "¥": {"¥;jpy;yen;Japanese yen": 1},
    "₹": {"₹;inr;rs;rs.;rupee;rupees;Indian rupees": 1, "paise paisa": Fraction(1, 100)},
    "₩": {"₩ krw won": 1},
    "₽": {"₽ rub ruble rubles rouble roubles": 1, "kopek kopeks kopecks": Fraction(1, 100)},
    "CHF": {"chf;franken;Fr.;Swiss franc;Swiss francs": 1},
    "CNY": {"cny rmb yuan renminbi 元": 1},
    "CA$": {"cad;c$;ca$;Canadian dollar;Canadian dollars": 1},
    "A$": {"aud;a$;au$;Australian dollar;Australian dollars": 1},
    "R$": {"r$;brl;real;reais;Brazilian real;Brazilian reais;Brazilian reals": 1},
    "HK$": {"hk$;hkd;Hong Kong dollars": 1},
    "NZ$": {"nz$;nzd;New Zealand dollars": 1},
    "S$": {"s$;sgd;Singapore dollars": 1},
    "MXN": {"mxn;mx$;Mexican pesos;Mexican peso": 1},
    "SEK": {"sek;Swedish kronor;Swedish krona": 1},
    "NOK": {"nok;Norwegian kroner;Norwegian krone": 1},
    "DKK": {"dkk;Danish kroner;Danish krone": 1},
    "PLN": {"pln;zł;zloty;zlotys;złoty;złotych": 1},
    "TRY": {"₺;try;Turkish lira;Turkish liras": 1},
    "ILS": {"₪;ils;shekel;shekels": 1},
    "BTC": {"₿;btc;bitcoin;bitcoins": 1},
    "zar": {"zar;South African rand;rand": 1},
    "bit": {"mb": 8 * 10**6, "gb": 8 * 10**9, "tb": 8 * 10**12},
}
TEMPERATURES = {
    "°C;℃;ºC;degC;deg C;degree C;degrees C;celsius;degree Celsius;degrees Celsius;centigrade": (
        Unit("K", Fraction(1), _KELVIN_OF_ICE)
    ),
    "°F;℉;ºF;degF;deg F;degree Fahrenheit;degrees Fahrenheit;fahrenheit;degree F;degrees F": (
        Unit("K", Fraction(5, 9), _KELVIN_OF_ICE - 32 * Fraction(5, 9))
    ),
    "°K;degree Kelvin;degrees Kelvin": Unit("K"),
}
UNSURE = frozenset({"pH", "pt", "dd", "hs", "Ts", "Gs", "Ms", "As", "Ps", "dm²"})
"""Symbols with two common meanings, or none in a text: 5 M may be 5 million."""

AMBIGUOUS = {
    "C": (Unit("A·s"), Unit("K", Fraction(1), _KELVIN_OF_ICE)),
    "F": (
        Unit("A^2·g^-1·m^-2·s^4", Fraction(1, 1000)),
        Unit("K", Fraction(5, 9), _KELVIN_OF_ICE - 32 * Fraction(5, 9)),
    ),
    "M": (Unit("m^-3·mol", Fraction(1000)),),
    "pound": (Unit("g", _POUND), Unit("£")),
    "bps": (Unit("bit·s^-1"), Unit(SHARE, Fraction(1, 10_000)), Unit("point", Fraction(1, 100))),
}
"""A unit and what it may be: 20 C is a charge or a temperature, 5 M a concentration, 5 pounds a mass."""

BASES = frozenset({dimension for *_, dimension, _ in METRIC} | OTHER.keys() | {"bit", "ratio", *AMBIGUOUS})
"""Dimensions of one base unit; the others have a power or a product."""

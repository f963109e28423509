"""The sizes of units, held against pint's registry."""

from functools import cache
from typing import Any

import pytest

from orchestrator.consensus.quantities import is_scale, is_unit
from orchestrator.consensus.quantities.units import known_unit

SYMBOLS = (
    "km cm mm µm nm g kg mg µg s ms µs A mA K mol cd N kN Pa kPa MPa J kJ W kW MW Hz kHz GHz V mV Ω kΩ µF nF "
    "mH T lm L mL eV keV kWh mAh Wb S bar min h day week in ft yd mi nmi Å ha acre gal qt pint cup tbsp tsp "
    "lb oz stone mph knot dyn kgf lbf atm torr psi erg hp ly au KiB MiB GiB byte bit kbit"
)
WORDS = (
    "kilometer centimetre milligram microsecond kilonewton megapascal kilojoule milliwatt gigahertz "
    "millivolt kiloohm microfarad kibibyte megabyte"
)


@cache
def registry() -> Any:
    return pytest.importorskip("pint").UnitRegistry(cache_folder=None)


@pytest.mark.parametrize("name", [*SYMBOLS.split(), *WORDS.split()])
def test_a_unit_has_the_size_that_pint_gives(name: str) -> None:
    unit = known_unit(name)
    factor, _ = registry().get_root_units(registry().parse_units(name))
    assert unit is not None
    assert float(unit.scale) == pytest.approx(float(factor), rel=1e-5)  # pint's acre is of the old US foot


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("N", "kg m/s^2"),
        ("J", "N·m"),
        ("J", "newton meters"),
        ("Pa", "N/m²"),
        ("W", "J/s"),
        ("km/h", "kilometers per hour"),
        ("m/s²", "meters per second squared"),
        ("W/(m·K)", "W m^-1 K^-1"),
        ("g/cm³", "kg/L"),
        ("dollars per hour", "USD/h"),
        ("\u2126", "ohm"),  # the sign of its own, beside the letter Ω
        ("\u212b", "angstrom"),
        ("por cento", "%"),
        ("cubic feet", "ft^3"),
        ("mmHg", "torr"),
        ("kilowatt-hours", "kWh"),
    ],
)
def test_products_and_quotients_have_one_dimension_and_size(one: str, other: str) -> None:
    assert known_unit(one) is not None
    assert known_unit(one) == known_unit(other)


@pytest.mark.parametrize(
    "word", ["apples", "por", "cento", "", "the", "5", "hello world", "km of", "a", "x", "per"]
)
def test_what_is_no_unit_is_none(word: str) -> None:
    assert not is_unit(word)


def test_the_case_decides_between_prefixes_and_nothing_else() -> None:
    assert known_unit("mHz") != known_unit("MHz")
    assert known_unit("MHZ") is None
    assert known_unit("KM") == known_unit("km")
    assert known_unit("Hours") == known_unit("h")


def test_a_scale_is_no_unit() -> None:
    assert is_scale("Million")
    assert is_scale("lakh")
    assert not is_scale("km")
    assert not is_unit("million")

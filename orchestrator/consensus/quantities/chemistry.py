"""Formulas, reactions, isotopes and configurations of chemistry in one spelling: H_2O is H₂O."""

from __future__ import annotations

import re
import unicodedata

from orchestrator.consensus.quantities.patterns import lazily

_ELEMENTS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm "
    "Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu"
)
_ELEMENT = "|".join(sorted(_ELEMENTS.split(), key=len, reverse=True))
_FORMULA = lazily(rf"\d*(?:(?:{_ELEMENT})\d*|[(\[]|[)\]]\d*)+(?:\^?\d*[+-])?")
_CHARGE = lazily(r"(?<=[A-Za-z0-9)\]])\s*\^?\{?\s*(?P<size>\d?)\s*(?P<sign>[+-])\s*\}?$")
_REACTION = lazily(r"\s*(?:→|⟶|⇌|⇋|-+>|=+>|\\to|\\rightarrow|\\rightleftharpoons|=)\s*")
_TERM = lazily(r"(?P<times>\d*)\s*(?P<what>\S+?)\s*(?:\((?:s|l|g|aq)\))?")
_ISOTOPE = lazily(
    r"\^\{?(?P<a>\d{1,3})\}?(?:_\{?\d{1,3}\}?)?\s*(?P<b>[A-Z][a-z]?)|(?P<c>[A-Z][a-z]?"
    r"|[a-z]{3,12})-(?P<d>\d{1,3})",
    re.IGNORECASE,
)
_NAMES = (
    "hydrogen:H helium:He lithium:Li boron:B carbon:C nitrogen:N oxygen:O sodium:Na phosphorus:P "
    "sulfur:S potassium:K"
)
_NAMES += (
    " calcium:Ca iron:Fe cobalt:Co strontium:Sr iodine:I cesium:Cs lead:Pb radon:Rn radium:Ra thorium:Th"
)
_NAMES += " uranium:U plutonium:Pu americium:Am chlorine:Cl"
_SYMBOLS = dict(pair.split(":") for pair in _NAMES.split())
_SHELLS = lazily(r"(?:\[(?P<core>He|Ne|Ar|Kr|Xe|Rn)\]\s*)?(?:[1-7][spdf]\s*\^?\{?\d{1,2}\}?\s*,?\s*){1,19}")
_CANDIDATE = lazily(r"\d*[A-Z(\[][A-Za-z0-9_{}()\[\]^+·-]{0,40}")
_LETTERS = lazily(r"[A-Z][a-z]?")
_WORDS = frozenset({"NO", "No", "In", "As", "At", "He", "I", "Be", "Os", "Pa", "Re", "Th", "Ho"})
"""Words, and labels, that are spelt like formulas."""


def read_chemistry(text: str) -> tuple[str, tuple[object, ...]] | None:
    """What kind of thing it is, and its one spelling; None for anything else."""
    if len(text) > 160 or not any(map(str.isalpha, text)):
        return None
    plain = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    if (formula := read_formula(text)) is not None:
        return "substance", (formula,)
    if match := _ISOTOPE.fullmatch(plain):
        symbol = match["b"] or match["c"]
        symbol = _SYMBOLS.get(symbol.casefold(), symbol)
        return ("isotope", (symbol, match["a"] or match["d"])) if symbol in _ELEMENTS.split() else None
    if _SHELLS.fullmatch(plain) and any(map(str.isdigit, plain)) and len(plain) > 3:
        return "configuration", (re.sub(r"[\s^{},]", "", plain),)
    sides = _REACTION.split(text) if _REACTION.search(text) else []
    if len(sides) == 2 and (left := _side(sides[0])) and (right := _side(sides[1])):
        return "reaction", (left, right)
    return None


def _side(text: str) -> tuple[tuple[str, str], ...] | None:
    terms = []
    for term in re.split(r"\s*\+\s+|\s+\+\s*|(?<=\w)\+(?=\d*[A-Z])", text.strip()):
        match = _TERM.fullmatch(term.strip())
        formula = match and (
            read_formula(match["what"]) or (match["what"] if match["what"] in _ELEMENTS.split() else None)
        )
        if match is None or formula is None:
            return None
        terms.append((formula, match["times"] or "1"))
    return tuple(sorted(terms))


def read_formula(text: str) -> str | None:
    """The formula with plain figures, or None if the text is none, or a word, or one letter."""
    if not (text[0].isupper() or text[0].isdigit() or text[0] in "([") or len(text) > 60:
        return None
    text = _CHARGE.sub(lambda match: f"^{match['size']}{match['sign']}", text.replace("\u2212", "-"))
    if "_" in text:
        text = re.sub(r"\s*_\s*\{?(\d+)\}?\s*", r"\1", text)
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    if _CANDIDATE.fullmatch(text) is None:
        return None
    flat = re.sub(r"[_{}^·]", "", text)
    if len(flat.strip("()[]")) < 2:
        return None  # a label
    if flat in _WORDS or _FORMULA.fullmatch(flat) is None:
        return None
    elements = _LETTERS.findall(flat)
    figures = any(char.isdigit() for char in flat.lstrip("0123456789"))
    if not figures and len(flat) > 3:  # a word in capitals, such as PARIS; NaCl is told by its small letters
        return flat if any(char.islower() for char in flat[1:]) and len(elements) > 1 else None
    return flat

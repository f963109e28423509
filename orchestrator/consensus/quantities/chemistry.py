"""Chemical formulas in one spelling: H_2O, H₂O and H2O are one, CO and Co are two. May import nothing."""

from __future__ import annotations

import re
import unicodedata

_ELEMENTS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm "
    "Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu"
)
_ELEMENT = "|".join(sorted(_ELEMENTS.split(), key=len, reverse=True))
_FORMULA = re.compile(rf"\d*(?:(?:{_ELEMENT})\d*|[(\[]|[)\]]\d*)+(?:\^?\d*[+-])?")
_CANDIDATE = re.compile(r"\d*[A-Z(\[][A-Za-z0-9_{}()\[\]^+-]{0,40}")
_LETTERS = re.compile(r"[A-Z][a-z]?")
_WORDS = frozenset({"NO", "No", "In", "As", "At", "He", "I", "Be", "Os", "Pa", "Re", "Th", "Ho"})
"""Words, and labels, that are spelt like formulas."""


def read_formula(text: str) -> str | None:
    """The formula with plain figures, or None if the text is none, or a word, or one letter."""
    if "_" in text:
        text = re.sub(r"\s*_\s*\{?(\d+)\}?\s*", r"\1", text)
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    if _CANDIDATE.fullmatch(text) is None:
        return None
    flat = re.sub(r"[_{}^]", "", text)
    if flat in _WORDS or len(flat) < 2 or _FORMULA.fullmatch(flat) is None:
        return None
    elements = _LETTERS.findall(flat)
    figures = any(char.isdigit() for char in flat.lstrip("0123456789"))
    if not figures and len(flat) > 3:  # a word in capitals, such as PARIS; NaCl is told by its small letters
        return flat if any(char.islower() for char in flat[1:]) and len(elements) > 1 else None
    return flat

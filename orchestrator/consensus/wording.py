"""Words and names in one spelling: no articles, accents or dots, American, kings in figures."""

from __future__ import annotations

import re
import unicodedata

from orchestrator.consensus.quantities import ordinal, read_roman
from orchestrator.consensus.quantities.patterns import lazily

_ARTICLE = lazily(r"^(?:the|an?)\s+(?!(?:and|or)\b)")
_LISTED = lazily(r"\s*,\s*and\s+|\s+and\s+|(?<!\d)\s*,\s*|\s*,\s*(?!\s|\d{3}(?!\d))")
_NUMBERED = lazily(
    r"\b(war|type|class|chapter|section|part|phase|stage|grade|level|volume|book|article|option|case)"
    r" ([ivx]+)\b"
)
_AMPERSAND = lazily(r"\s+&\s+")
_INITIALS = lazily(r"(?<![\w.])(?:[a-z]\.){1,}[a-z](?=\.?$)|(?<![\w.])(?:[a-z]\.\s?){2,}")
_REGNAL = lazily(r"(?<=[a-z]{3}\s)(?:(?P<roman>[ivx]{1,5})|the\s(?P<word>[a-z]+))$")
_ACCENT = lazily("(?<=[a-zA-Z])[\u0300-\u036f]+")
_HYPHEN = lazily(r"(?<=[^\W\d_]{2})[-\u2010\u2011](?=[^\W\d_]{2})")
_TITLES = {
    "mt": "mount",
    "st": "saint",
    "ste": "sainte",
    "ft": "fort",
    "mister": "mr",
    "doctor": "dr",
    "professor": "prof",
}
_TITLE = lazily(r"\b(mt|st|ste|dr|mr|mrs|ms|prof|jr|sr|mister|doctor|professor)\b(?:\.\s*|\s+)(?=\w)")
_AMERICAN = {
    "aluminium": "aluminum",
    "caesium": "cesium",
    "centre": "center",
    "colour": "color",
    "grey": "gray",
    "haemoglobin": "hemoglobin",
    "litre": "liter",
    "metre": "meter",
    "oestrogen": "estrogen",
    "sulphur": "sulfur",
    "theatre": "theater",
}
_BRITISH = lazily(rf"\b(?:{'|'.join(_AMERICAN)})")


_CONTRACTED = lazily(r"\b(ca|wo|\w{2,6})n't\b")
_FULL = {"ca": "can", "wo": "will"}


def in_one_spelling(text: str) -> str:
    """The text, in small letters, without articles, accents, hyphens and dots of abbreviations."""
    if "n't" in text:
        text = _CONTRACTED.sub(lambda match: f"{_FULL.get(match[1], match[1])} not", text)
    text = _AMPERSAND.sub(
        " and ", _INITIALS.sub(lambda match: re.sub(r"[.\s]", "", match[0]) + " ", text)
    ).strip()
    if not text.isascii():
        apart = unicodedata.normalize("NFD", text)
        text = unicodedata.normalize("NFC", _ACCENT.sub("", apart))
    text = _HYPHEN.sub(" ", _TITLE.sub(lambda match: _TITLES.get(match[1], match[1]) + " ", text))
    text = _REGNAL.sub(_regnal, _BRITISH.sub(lambda match: _AMERICAN[match[0]], text))
    return _NUMBERED.sub(_in_figures, _LISTED.sub(",", _ARTICLE.sub("", text)))


def _regnal(match: re.Match[str]) -> str:
    """The number of a king or a chapter in figures: Henry VIII and Henry the Eighth."""
    number = read_roman(match["roman"].upper(), short=True) if match["roman"] else ordinal(match["word"])
    return match[0] if number is None else str(number)


def _in_figures(match: re.Match[str]) -> str:
    number = read_roman(match[2].upper(), short=True)
    return match[0] if number is None else f"{match[1]} {number}"

"""Answers that are said to be answers: in boxes, tags, JSON, or after "the answer is" in many languages."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from orchestrator.consensus.embedded import json_objects
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.languages import LANGUAGES
from orchestrator.consensus.reading.sentences import first_sentence, sentence_ends

LONGEST_ANSWER = 2_000
"""Characters of a line that are read as an answer at most, so that reading stays linear."""

MOST_ITEMS = 20
"""Items of a list that are read as one answer at most."""

BOX = lazily(r"\\f?box(?:ed)?\s*\{")
_BARE_BOX = lazily(r"\\(?:boxed|fbox)\s*(?P<inner>-?\d+(?:\.\d+)?|-?[A-Za-z](?![A-Za-z]))")
_BRACE = lazily(r"(?<!\\)[{}]")
_BETWEEN = lazily(
    r"[\s$]*(?:,|;|(?:\\text\s*\{\s*)?\b(and|or)\b(?:\s*\})?|\\(?:quad|qquad)|\\\)|\\\("
    r"|[\s$])*[\s$]*(?:[a-zA-Z]\w?\s*=\s*)?[\s$]*"
)
_MINUS = lazily(r"(?:^|[^\w)}\]\s$])[\s$(]*[-−][\s$]*$|(?:^|[\s$(])[$(]?-$")
_AFTER_BOX = lazily(
    r"[\s$]*(?:\\[ ,;:!])?\s*(?:\\?%|(?:hundred|thousand|million|billion|trillion|dozen|percent)\b)"
    r"|\s*(?:\\[ ,;:!])?\s*\\(?:text|mathrm)\s*\{[^{}]{1,40}\}(?:\s*\^\s*(?:\d|\{-?\d\}))?"
    r"|(?:\s*\$)?\s?°\s?[CF]?|\s*\^\s*\{?\s*\\circ\s*\}?"
    r"|\s*\$\s(?:[kcmµ]?m|[kcmµ]?g|km/h|m/s|k?N|k?J|k?W|MW|[kM]?Hz|[kM]?Pa|cm\^?[23]|m\^?[23]|ms|s|h|min"
    r"|mL|L|mol(?:/L)?)\b"
)
_TAG = lazily(r"<(/?)(answer|final[_ -]?answer|final|result|solution|antwort|respuesta)>", re.IGNORECASE)
_HASHES = lazily(r"^[ \t]*####[ \t]*(?P<answer>\S.*)$", re.MULTILINE)
_OBJECT = lazily(r'\{(?=\s*+"(?:[^"\\]|\\.)*+"\s*+:)')

_KEYS = (
    r"(?:(?:the|my|your)?[ _-]?(?:final|correct|short)?[ _-]?(?:answer|result|solution|option|choice"
    r"|conclusion)"
    r"|antwort|ergebnis|réponse|reponse|respuesta|resposta|risposta|ответ|答案|答え|回答|정답|उत्तर|الإجابة|الجواب)"
)
_KEY = lazily(_KEYS, re.IGNORECASE)
_ALMOST = lazily(
    rf"[{{,]\s*[\"'“”‘’]?(?P<key>{_KEYS})[\"'“”‘’]?\s*:\s*(?P<value>\"(?:[^\"\\\n]|\\.){{0,400}}\"|'(?:[^'\\\n]|\\.){{0,400}}'"
    r"|“[^”\n]{0,400}”|\[[^\[\]]{0,400}\]|\{[^{}]{0,400}\}|[^,{}\[\]\n]{1,200})\s*(?=[,}]|$)",
    re.IGNORECASE | re.MULTILINE,
)
_STRENGTH = ("answer", "final", "option", "choice")


def boxed(body: str) -> str | None:
    """What the last closed box holds, or all boxes of one list; found in one pass, however often repeated."""
    boxes = {match.end(): match.start() for match in BOX.finditer(body)}
    opened: list[int] = []
    closed: list[tuple[int, int]] = []
    for brace in _BRACE.finditer(body):
        if brace[0] == "{":
            opened.append(brace.end())
        elif opened and (begin := opened.pop()) in boxes:
            closed.append((begin, brace.start()))
    if not closed:
        bare = [match["inner"] for match in _BARE_BOX.finditer(body)]
        return bare[-1] if bare else None
    closed.sort()
    begin, end = closed[-1]
    text = body[begin:end]
    outer = end + 1
    while (after := _AFTER_BOX.match(body, outer)) and not re.search(r"[^\W\d]{3}", text):
        text += " " + after[0].strip(" $")
        outer = after.end()
    at = boxes[begin]
    if _MINUS.search(body[max(0, at - 8) : at]) and not text.startswith("-"):
        text = f"-{text}"
    for former, stop in reversed(closed[-MOST_ITEMS:-1]):
        between = _BETWEEN.fullmatch(body, stop + 1, at) if stop < at <= stop + 60 else None
        if between is None or not re.search(r"and|or|,", between[0]):
            break
        text = f"{body[former:stop]} {between[1] or 'and'} {text}"
        at = boxes[former]
    return text


def tagged(body: str) -> str | None:
    """What stands between the last pair of answer tags, or after the last one if it is never closed."""
    begin: int | None = None
    found: str | None = None
    for tag in _TAG.finditer(body):
        if not tag[1]:
            begin = tag.end()
        elif begin is not None:
            found, begin = body[begin : tag.start()], None
    if begin is not None and len(body) - begin <= LONGEST_ANSWER and body[begin:].strip():
        found = body[begin:]
    return None if found is None else found.strip().removeprefix(":")


def json_answer(body: str) -> str | None:
    """The answer in the last JSON object that has one, also where it is not quite JSON."""
    if ":" not in body or "{" not in body or not _KEY.search(body):
        return None
    answer: str | None = None
    for value in json_objects(body, _OBJECT):
        keys = [key for key in value if _KEY.fullmatch(key)]
        if keys:
            key = min(
                keys, key=lambda each: (each != "answer", not any(word in each.lower() for word in _STRENGTH))
            )
            answer = _plainly(value[key], value.get("unit", value.get("units")))
    if answer is not None:
        return answer
    found = [match["value"].strip() for match in _ALMOST.finditer(body)]
    if not found:
        return None
    last = found[-1]
    quoted = len(last) > 1 and last[0] in "\"'“" and last[-1] in "\"'”"
    return (
        re.sub(r"\\(.)", r"\1", last[1:-1])
        if quoted and "\\" in last[1:-1]
        else last[1:-1]
        if quoted
        else last
    )


def _plainly(value: object, unit: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return f"{text} {unit}" if isinstance(unit, str) and re.fullmatch(r"-?[\d.,]+", text) else text


def hashed(body: str) -> str | None:
    """What follows the last ``####`` that is not the heading of a part that follows."""
    found = _HASHES.findall(body)
    return found[-1] if found else None


def _introducer() -> re.Pattern[str]:
    """What comes before an answer, in any language: "the answer is", "Antwort:", 答案是."""
    named = []
    for each in LANGUAGES:
        after = rf"(?:\s+(?:{each.after}))*" if each.after else ""
        left = r"(?<![^\W\d_])" if each.code in ("en", "de", "fr", "es", "pt", "it", "ru") else ""
        verbs = rf"\s*(?:{each.verbs})" if each.code in ("ja", "zh", "ko") else rf"\s+(?:{each.verbs})(?!\w)"
        if each.code == "ko":
            verbs = r"\s*(?:은|는|이(?=\s))"
        named.append(rf"{left}{each.nouns}{after}[ \t*_]*(?:{verbs}|\s*[:=])")
    return re.compile(
        rf"(?:{'|'.join(named)})(?:\s+(?:therefore|thus|that|simply|also|donc|entonces|quindi|also))?\s*[:=]?"
        r"[ \t*_]*(?:\n{1,2}(?=[^\n])[ \t]*>?)?[ \t*_]*(?=[^\n])",
        re.IGNORECASE,
    )


INTRODUCER = _introducer()
_AGAIN = lazily(r"(?:the|my|our)\s+(?=(?:(?:final|correct)\s+)?answer\s+(?:is|to)\b)", re.IGNORECASE)
_RESULT = lazily(
    r"(?<![^\W\d_])(?:"
    + "|".join(
        rf"(?:{each.result})\s*(?:[:=]|\s(?:{each.verbs})(?!\w)|は|是|为)"
        for each in LANGUAGES
        if each.result and each.verbs
    )
    + r")[ \t*_]*",
    re.IGNORECASE,
)
_HINDI = lazily(r"(?:उत्तर|जवाब|विकल्प)\s+(?P<answer>[^\n।。]{1,80}?)\s+(?:है|हैं|होगा)")
_INVERSE = lazily(
    r"(?:^|[.!?\n]\s*)(?:(?:so|thus|hence|therefore|and),?\s+)?(?:option\s+"
    r"|choice\s+)?(?P<answer>[^.!?\n]{1,60}?)\s+(?:is|are|must\s+be)\s+"
    r"(?:the|my|our)\s+(?:(?:final|correct|right|best|only\s+correct)\s+)*(?:answer|option|choice"
    r"|solution)(?:[.!*\s]*)$",
    re.IGNORECASE,
)
_CHOSEN = lazily(
    r"(?:[选選](?:择|擇)?\s*:?\s*|\b(?:option|choice|answer|i|we)\s+(?:choose|pick|select|go\s+with)\s+"
    r"|\b(?:option|choice)\s+)"
    r"[*_]*\(?(?P<answer>[A-H])\)?[*_]*(?=\s+is\s+(?:correct|right)|[\s*_.!。]*$)"
    r"|^[\s*_]*\(?(?P<label>[A-H])\)?[\s*_]+is\s+(?:correct|right)\b",
    re.IGNORECASE | re.MULTILINE,
)


def marked(body: str) -> tuple[str, int] | None:
    """What follows the last marker, and where it ends; those inside answers are skipped.

    "5, since the answer is"
    " odd" has one marker less than it seems, "Final answer: The final answer is 42" two.
    """
    answer, at, end = None, 0, 0
    while match := INTRODUCER.search(body, at):
        begin = match.end()
        again = _AGAIN.match(body, begin)
        if again is not None:
            at = again.end()
            continue
        stop = body.find("\n", begin, begin + LONGEST_ANSWER)
        if body[begin : begin + 2] in (r"\[", "$$") or body[begin : begin + 7] == r"\begin{":
            stop = _end_of_display(body, begin)
        if _ITEM.match(body, begin) and body[:begin].rstrip(" \t*_>").endswith("\n"):
            items, at = _items(body, begin)
            answer, end = ", ".join(items), at
            continue
        line = body[begin : stop if stop >= 0 else begin + LONGEST_ANSWER]
        answer = line if line.startswith((r"\[", "$$", r"\begin{")) else first_sentence(line)
        at = end = begin + max(1, len(answer))
    return None if answer is None else (answer, end)


_ITEM = lazily(r"[ \t]*(?:[-+•*][ \t]+|\d{1,2}[.)][ \t]+)(?P<text>[^\n]{1,200})(?:\n|$)")


def _items(body: str, begin: int) -> tuple[list[str], int]:
    """The items of the list that begins there, and where it ends."""
    items: list[str] = []
    while len(items) < MOST_ITEMS and (item := _ITEM.match(body, begin)):
        items.append(item["text"].strip().rstrip(".,;"))
        begin = item.end()
    return items, begin


def _end_of_display(body: str, begin: int) -> int:
    closing = {r"\[": r"\]", "$$": "$$"}.get(body[begin : begin + 2], r"\end{")
    end = body.find(closing, begin + 2, begin + LONGEST_ANSWER)
    if end < 0:
        return body.find("\n", begin, begin + LONGEST_ANSWER)
    return end + 2 if closing != r"\end{" else body.find("}", end) + 1


_RELATIVE = frozenset({"which", "that", "this", "it", "he", "she", "they"})


def last_marked(body: str) -> str | None:
    """What the end of a text marks as its answer less clearly: "Result: x", "x is the answer", "option B"."""
    for begin, text in _last_sentences(body):
        if match := _HINDI.search(text):
            return match["answer"]
        if (match := _INVERSE.search(text)) and match["answer"].rpartition(", ")[
            2
        ].casefold() not in _RELATIVE:
            return match["answer"].rpartition(", ")[2]
        if match := _CHOSEN.search(text):
            return match["answer"] or match["label"]
        if begin and (match := _RESULT.match(text)):
            return text[match.end() :]
        if not begin and (match := _RESULT.match(text.lstrip(" *_#"))):
            return text.lstrip(" *_#")[match.end() :]
    return None


def _last_sentences(body: str) -> Iterator[tuple[int, str]]:
    """The last sentence of a text, and where it begins."""
    tail = body[-LONGEST_ANSWER:].rstrip()
    begin = max((end for _, end in sentence_ends(tail) if end < len(tail)), default=0)
    last = tail[begin:].lstrip()
    if last:
        yield begin, last


_LABEL = lazily(
    rf"(?:(?i:{'|'.join(each.labels for each in LANGUAGES)})\s*){{0,2}}"
    r"[*_]*(?:[(\[](?P<a>[A-Ha-h])[)\]](?=\W|$)|(?P<b>[A-Ha-h])\)(?=\s|$)|(?P<c>[A-H])(?=:\s"
    r"|\.\s+[\da-z$(\\]|[*_\s.,。]*$))"
)
_FOREIGN_LABEL = lazily(r"[(\[]([^\W\d_a-zA-Z])[)\]]")
_SEVERAL = lazily(r"[)\]*_]*\s*(?:[,&/]|and\b|or\b|nor\b)[\s(\[]*[A-H]\b")


def label(answer: str) -> str | None:
    """The label that an answer clearly gives, as "(C) Paris", "C) Paris" and "option C" do; else None."""
    if foreign := _FOREIGN_LABEL.fullmatch(answer):
        return foreign[1]
    match = _LABEL.match(answer)
    if match is None or _SEVERAL.match(answer, match.end()):
        return None
    return (match["a"] or match["b"] or match["c"]).upper()

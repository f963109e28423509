from __future__ import annotations

import re
from random import Random
from typing import Any, Literal

import pytest

from orchestrator.runtime.values import Question
from planners.asking import Asked, asking
from planners.offers import Offers, begin_tool, computing, merged, offered, parameters_of
from planners.plan_grammar import plan_grammar
from planners.plan_text import TextReader
from planners.plans import Step
from workers.tools.declaration import tool
from workers.tools.tool import Tool

_TOKEN = re.compile(r'\s*("(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|\{\d+,\d+\}|[\w-]+|[()|*+?])')
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "]": "]"}


class Sampler:
    """Writes random texts of a GBNF grammar; whatever it cannot read is an error in the grammar."""

    def __init__(self, grammar: str, seed: int) -> None:
        self.rules = dict(line.split(" ::= ", 1) for line in grammar.strip().splitlines() if line)
        self.random = Random(seed)
        self.depth = 0

    def write(self, rule: str = "root") -> str:
        self.depth += 1
        tokens, at = [], 0
        while self.rules[rule][at:].strip():
            token = _TOKEN.match(self.rules[rule], at)
            assert token is not None, self.rules[rule][at:]
            tokens.append(token[1])
            at = token.end()
        text, rest = self._alternatives(tokens)
        assert not rest, (rule, rest)
        self.depth -= 1
        return text

    def _alternatives(self, tokens: list[str]) -> tuple[str, list[str]]:
        """One of the alternatives, and what follows them: each is parsed, so that all are well formed."""
        options, rest = [], tokens
        while True:
            option, rest = self._sequence(rest)
            options.append(option)
            if not rest or rest[0] != "|":
                break
            rest = rest[1:]
        # Deep inside, the first alternative: a rule's first is never the rule itself.
        chosen = options[0] if self.depth > 8 else self.random.choice(options)
        return "".join(self._repeated(*part) for part in chosen), rest

    def _sequence(self, tokens: list[str]) -> tuple[list[tuple[Any, str]], list[str]]:
        parts: list[tuple[Any, str]] = []
        while tokens and tokens[0] not in ("|", ")"):
            head, *tokens = tokens
            item: Any = head
            if head == "(":
                inner, level = [], 1
                while level:
                    level += {"(": 1, ")": -1}.get(tokens[0], 0)
                    inner.append(tokens[0])
                    tokens = tokens[1:]
                item = inner[:-1]
            often = tokens[0] if tokens and (tokens[0] in "*+?" or tokens[0][0] == "{") else ""
            tokens = tokens[1:] if often else tokens
            parts.append((item, often))
        return parts, tokens

    def _repeated(self, item: Any, often: str) -> str:
        few = 0 if self.depth > 8 else 2
        least, most = {"": (1, 1), "*": (0, few), "+": (1, 1 + few), "?": (0, min(few, 1))}.get(often) or map(
            int, often[1:-1].split(",")
        )
        return "".join(self._one(item) for _ in range(self.random.randint(least, min(most, least + 3))))

    def _one(self, item: Any) -> str:
        if isinstance(item, list):
            text, rest = self._alternatives(item)
            assert not rest
            return text
        if item[0] == '"':
            return re.sub(r"\\(.)", lambda match: _ESCAPES[match[1]], item[1:-1])
        if item[0] == "[":
            return self.random.choice(_characters(item[1:-1]))
        return self.write(item)


def _characters(inside: str) -> str:
    """Some of the characters of a class; of a negated one, some that it lets through."""
    if inside.startswith("^"):
        out = re.sub(r"\\n", "\n", inside[1:])
        return "".join(each for each in "ab Z9,()[]$=.'é" if not re.match(f"[{out}]", each))
    singles = re.sub(r".-.", "", inside)
    spans = "".join(span[0] + span[-1] for span in re.findall(r"\w-\w", inside))
    return re.sub(r"\\(.)", lambda match: match[1], singles) + spans


@tool
def search(query: str, limit: int = 3, language: Literal["en", "de"] = "en") -> str:
    """Searches."""
    return ""


@tool
def measure(rows: list[list[float]], names: dict[str, bool], unit: str | None = None) -> str:
    """Measures."""
    return ""


@tool
def now() -> str:
    """What time it is."""
    return ""


@tool
def where(x: int = 0, y: int = 0, z: int = 0) -> str:
    """Where something is."""
    return ""


def offers(*tools: Tool) -> Offers:
    return merged(
        [offered(each, begin_tool) for each in tools],
        [asking(Asked(1, 0.0, 99))],
        computing(Question("")).values(),
    )


ALL = offers(search, measure, now, where)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_grammar_lets_through_is_read_as_a_plan_of_such_steps(seed: int) -> None:
    text = Sampler(plan_grammar(ALL, thinks=seed % 2 == 0), seed).write()
    assert text.startswith("Thought: ") is (seed % 2 == 0)
    calls = re.findall(r"^\d+\. (\w+)\(", text, re.MULTILINE)
    reader = TextReader(parameters_of(ALL))
    steps: list[Step] = [*reader.feed(text), *reader.finish()]
    assert [step.tool for step in steps] == calls, text
    for step in steps[:-1]:
        offer = ALL[step.tool]
        assert set(offer.required) <= step.arguments.keys() <= set(offer.parameters), (text, step)


def test_plans_as_they_are_meant_are_let_through() -> None:
    grammar = plan_grammar(offers(search, now, where))
    assert 'root ::= s1\ns1 ::= "1. " call "\\n" (s2 | "2. join()")\n' in grammar
    assert '\ns16 ::= "16. " call "\\n" ("17. join()")\n' in grammar
    assert 'root ::= s4\ns4 ::= "4. " call "\\n" ("5. join()")\n' in plan_grammar(offers(now), 4, 1)
    assert r't0 ::= "search(" (string | ref) (", " "limit=" (integer | ref))?' in grammar
    assert r'("\"en\"" | "\"de\"" | ref)' in grammar
    assert 't1 ::= "now("  ")"' in grammar
    assert '"x=" (integer | ref) (", " "y=" (integer | ref))? (", " "z=" (integer | ref))? | "y="' in grammar
    assert '"context=" (ref | "[" ((string | ref) (", " (string | ref))*)? "]")' in grammar


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        ({"type": "string"}, "(string | ref)"),
        ({"type": "number"}, "(decimal | ref)"),
        ({"const": 1}, '("1" | ref)'),
        ({"enum": ['a"b', None]}, r'("\"a\\\"b\"" | "null" | ref)'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "((string | ref) | (null | ref))"),
        ({"$ref": "#/$defs/Unit"}, '("\\"m\\"" | ref)'),
        ({"$ref": "#/$defs/Circle"}, "value"),
        ({"allOf": [{}]}, "value"),
        ({"type": ["string", "null"]}, "(string | null | ref)"),
        (True, "value"),
    ],
)
def test_a_schema_becomes_a_rule(schema: Any, rule: str) -> None:
    defined = {"Unit": {"enum": ["m"]}, "Circle": {"$ref": "#/$defs/Circle"}}
    whole = {"$defs": defined, "properties": {"x": schema}, "required": ["x"]}
    grammar = plan_grammar({"t": offers(search)["search"].__class__("t", "", whole, begin_tool)})
    assert f't0 ::= "t(" {rule} ")"' in grammar

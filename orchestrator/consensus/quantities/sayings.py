"""Answers in words that say there is no number: no solution, infinitely many, undefined, does not exist."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from functools import cache

from orchestrator.consensus.quantities.patterns import lazily

_TABLE = """
no solution:
    no solution; no solutions; no solution exists; no solutions exist; there is no solution;
    there are no solutions; it has no solution; the equation has no solution;
    the equation has no solutions; the system has no solution; the system has no solutions;
    has no solution; has no solutions; ∅; empty set; the empty set; the solution set is empty;
    no such solution; without solution; keine lösung; pas de solution; aucune solution; sin solución;
    no hay solución; sem solução; nessuna soluzione; нет решений; 无解; 無解; 解なし
no real solution:
    no real solution; no real solutions; there is no real solution; there are no real solutions;
    no real solution exists; no real solutions exist; has no real solutions;
    the equation has no real solutions; the equation has no real solution; it has no real solutions;
    no real roots; no real root; there are no real roots; the equation has no real roots;
    it has no real roots; has no real roots
no integer solution:
    no integer solution; no integer solutions; there are no integer solutions;
    no integer solutions exist; there is no integer solution
infinitely many:
    infinitely many; infinitely many solutions; there are infinitely many solutions;
    there are infinitely many; infinite solutions; an infinite number of solutions; an infinite number;
    has infinitely many solutions; the system has infinitely many solutions;
    it has infinitely many solutions; there are infinitely many of them; infinite number of solutions
infinity:
    ∞; infinity; infinite; +∞; positive infinity; plus infinity; it is infinite; unendlich; l'infini;
    infinito
-infinity:
    -∞; −∞; negative infinity; minus infinity
undefined:
    undefined; not defined; is undefined; it is undefined; it is not defined; the slope is undefined;
    the value is undefined; the expression is undefined
does not exist:
    does not exist; doesn't exist; dne; limit does not exist; the limit does not exist;
    it does not exist; there is no limit; no limit; the limit doesn't exist; it doesn't exist;
    no such number exists; none exists; none exist
impossible:
    impossible; not possible; it is impossible; it is not possible; this is impossible;
    that is impossible; it's impossible; cannot be done; it cannot be done; can't be done
possible:
    possible; it is possible; this is possible; it can be done; can be done
all reals:
    all real numbers; all reals; any real number; every real number; ℝ; r; the real numbers;
    the set of all real numbers; the set of real numbers; (-∞, ∞); (-∞,∞); (−∞, ∞); (−∞,∞); (-∞, +∞);
    (-∞,+∞); x ∈ ℝ; x∈ℝ; all real values; all real values of x; -∞ < x < ∞; all real x;
    all real numbers x
diverges:
    diverges; it diverges; divergent; is divergent; it is divergent; does not converge;
    it does not converge; doesn't converge; not convergent; is not convergent; it is not convergent;
    the series diverges; the series does not converge; the series is divergent; the sequence diverges;
    the sequence does not converge; the integral diverges; the integral does not converge;
    the sequence is divergent; it doesn't converge
converges:
    converges; it converges; convergent; is convergent; it is convergent; the series converges;
    the sequence converges; the series is convergent; the integral converges;
    the sequence is convergent
none:
    none of them; none of the statements is true; none of the statements are true;
    all of the statements are false; all the statements are false; none of the statements is correct;
    none is true; none are true; all are false; none of them is true; none of them are true;
    all of them are false; all statements are false; none is correct;
    none of the four statements is correct; none of them is correct
all:
    all of them; all of the statements are true; all the statements are true; all are true;
    all of them are true; all statements are true
empty list:
    []
empty string:
    ''; \"\"; “”
empty dict:
    {}; { }
even:
    even; it is even; is even; an even number; it is an even number; even number
odd:
    odd; it is odd; is odd; an odd number; it is an odd number; odd number; not even; it is not even
prime:
    prime; it is prime; is prime; a prime number; it is a prime number; prime number; it is a prime
composite:
    composite; it is composite; is composite; a composite number; it is a composite number;
    composite number
not prime:
    not prime; it is not prime; is not prime; not a prime number; it is not a prime number; not a prime;
    it is not a prime
unknown:
    cannot be determined; can't be determined; can not be determined; not enough information;
    there is not enough information; it cannot be determined;
    cannot be determined from the information given; insufficient information; insufficient data
O(1):
    constant time; constant; o(1) time; o(1)
draw:
    draw; a draw; tie; a tie; it is a draw; it's a draw; it is a tie; it's a tie; the game was a draw
"""
"""What is said, and the ways to say it, without the full stop."""
_EMPTIES = {"string": "string", "list": "list", "array": "list", "dict": "dict", "dictionary": "dict"}
_EMPTY = lazily(
    rf"(?:(?:\w+\W+){{0,14}}(?:returns?|prints?|gives|yields|outputs?|is"
    rf"|to)\s+)?(?:['\"“”\[\]{{}}]{{2}}\s*)?\(?(?:an?\s+|the\s+)?empty\s+"
    rf"(?P<what>{'|'.join(_EMPTIES)})\)?(?:\s*['\"“”\[\]{{}}]{{2}})?",
    re.IGNORECASE,
)
_SPACES = lazily(r"\s+")


@cache
def _sayings() -> dict[str, str]:
    table: dict[str, str] = {}
    key = ""
    for line in _TABLE.strip().splitlines():
        if line[0] != " ":
            key = line[:-1]
        else:
            table |= dict.fromkeys((saying.strip() for saying in line.rstrip(";").split(";")), key)
    return table


def read_saying(text: str) -> str | None:
    """What is said, or None for any other text."""
    if len(text) > 100 or text in ("r", "R"):
        return None
    if empty := _EMPTY.fullmatch(text):
        return f"empty {_EMPTIES[empty['what'].casefold()]}"
    return _sayings().get(_SPACES.sub(" ", text).casefold().replace("’", "'"))

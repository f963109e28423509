"""The commands of LaTeX that are shown as plain text, by what is shown for them."""

# ruff: noqa: RUF001 -- the look-alike characters are what people read

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _named(names: str) -> dict[str, str]:
    pairs = (each.partition(":") for each in names.split())
    return {name: sign for name, _, sign in pairs}


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


LETTERS: Final[Mapping[str, str]] = _named(
    "alpha:α beta:β gamma:γ delta:δ epsilon:ε varepsilon:ε zeta:ζ eta:η theta:θ vartheta:θ iota:ι kappa:κ "
    "lambda:λ mu:μ nu:ν xi:ξ pi:π rho:ρ sigma:σ tau:τ upsilon:υ phi:φ varphi:φ chi:χ psi:ψ omega:ω "
    "Gamma:Γ Delta:Δ Theta:Θ Lambda:Λ Xi:Ξ Pi:Π Sigma:Σ Upsilon:Υ Phi:Φ Psi:Ψ Omega:Ω infty:∞ emptyset:∅ "
    "varnothing:∅ degree:° circ:° prime:′ hbar:ħ ell:ℓ partial:∂ nabla:∇ angle:∠ triangle:△ R:ℝ AA:Å "
    "euro:€ pounds:£ ldots:… dots:… cdots:… vdots:… sum:∑ prod:∏ int:∫ neg:¬ lnot:¬ forall:∀ exists:∃ "
    "checkmark:✓ square:□ Box:□ therefore:∴ lfloor:⌊ rfloor:⌋ lceil:⌈ rceil:⌉ langle:⟨ rangle:⟩ "
    "lbrace:{ rbrace:} lvert:| rvert:| vert:| textdegree:° percent:%"
)
BETWEEN: Final[Mapping[str, str]] = _named(
    "times:× cdot:· div:÷ pm:± mp:∓ le:≤ leq:≤ leqslant:≤ ge:≥ geq:≥ geqslant:≥ lt:< gt:> ne:≠ neq:≠ "
    "approx:≈ sim:~ simeq:≈ cong:≅ equiv:≡ propto:∝ in:∈ notin:∉ ni:∋ subset:⊂ subseteq:⊆ supset:⊃ "
    "supseteq:⊇ cup:∪ cap:∩ setminus:∖ backslash:∖ to:→ rightarrow:→ longrightarrow:→ leftarrow:← gets:← "
    "leftrightarrow:↔ Rightarrow:⇒ implies:⇒ Leftarrow:⇐ Leftrightarrow:⇔ iff:⇔ rightleftharpoons:⇌ "
    "mapsto:↦ land:∧ wedge:∧ lor:or vee:or perp:⊥ parallel:∥ ast:* star:* colon:: choose:choose bmod:mod "
    "mid:| oplus:⊕ otimes:⊗ uparrow:↑ downarrow:↓"
)
"""Signs that stand between two things, with a space on both sides."""

FUNCTIONS: Final = _set(
    "sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan ln log exp lim max min sup inf gcd lcm mod "
    "det dim ker arg deg Pr"
)
AS_THEY_ARE: Final = _set(
    "text textbf textit textrm textsf texttt textnormal mathrm mathbf mathsf mathit mathcal mathtt mathbb "
    "mathfrak mbox hbox boxed fbox operatorname ce unit si underline emph vec hat bar tilde overrightarrow "
    "widehat boldsymbol bm pmb overbrace underbrace cancel"
)
"""Commands of which the argument alone is shown."""

WORDS: Final = _set("text textbf textit textrm textsf texttt textnormal mbox hbox")
"""Those whose argument is text, in which spaces count."""

NOTHING: Final = _set(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle scriptstyle limits nolimits "
    "rm bf it hline phantom "
)
SPACES: Final = frozenset(["quad", "qquad", "space", "enspace", "thinspace", ",", ";", ":", " ", "\n"])
FRACTIONS: Final = _set("frac dfrac tfrac cfrac sfrac")
CHOICES: Final = _set("binom dbinom tbinom")
OTHERS: Final = frozenset(["sqrt", "overline", "pmod", "begin", "end", "!", "\\", *"()[]"])
ESCAPED: Final = frozenset("%$&#_{}|")
KNOWN: Final = (
    frozenset([*LETTERS, *BETWEEN, *OTHERS])
    | FUNCTIONS
    | AS_THEY_ARE
    | NOTHING
    | SPACES
    | FRACTIONS
    | CHOICES
    | ESCAPED
)
ROOTS: Final = {"": "√", "2": "√", "3": "∛", "4": "∜"}
BOARD: Final = {"R": "ℝ", "N": "ℕ", "Z": "ℤ", "Q": "ℚ", "C": "ℂ"}
MATRICES: Final = _set("matrix pmatrix bmatrix Bmatrix smallmatrix array")

"""What the cheap methods say about two claims, and about two completions."""

from orchestrator.consensus.equivalence import compare, read_form
from orchestrator.consensus.extraction import extract_claim


def said(left: str, right: str) -> bool:
    """Whether two claims are found to be one."""
    outcome = compare(read_form(left), read_form(right))
    return outcome is not None and outcome[1]


def joined(left: str, right: str) -> bool:
    """Whether two completions, each of which claims something, claim the same."""
    one, other = extract_claim(left), extract_claim(right)
    assert one is not None
    assert other is not None
    return said(one.text, other.text)

"""Write the table of docs/servers.md from runs against fake servers; with ``--check``, only compare.

Run as ``python -m scripts.servers`` from the project's root.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from pathlib import Path

import structlog

from tests.workers.engines.openai.profiles import ANSWER, PROFILES, Observed, Profile, observe

PAGE = Path(__file__).parents[1] / "docs" / "servers.md"
_GENERATED = re.compile(r"(?<=<!-- generated -->\n).*?(?=<!-- end -->)", re.DOTALL)
_HEAD = (
    "server",
    "address to give",
    "key",
    "streams",
    "usage",
    "prefix reports",
    "seed",
    "log-probabilities",
    "guided decoding",
    "token ids",
    "thinking",
    "left out, or sent under another name",
)


def _cell(told: bool | None, seen: bool) -> str:
    if told is None:
        return "?"
    return "yes" if seen else "no"


def _row(profile: Profile, seen: Observed) -> tuple[str, ...]:
    thinking = {None: "?", "text": "in the text"}.get(profile.thinking, f"`{profile.thinking}`")
    left_out = (f"`{name}`" + (f" → `{other}`" if other else "") for name, other in seen.left_out.items())
    return (
        profile.name,
        f"`{profile.give}`",
        profile.key,
        "yes" if seen.text == "".join(ANSWER) else "no",
        _cell(profile.usage, seen.usage),
        _cell(profile.cached, seen.cached),
        _cell(profile.seed, seen.seed),
        _cell(profile.logprobs, seen.logprobs),
        _cell(profile.schema, seen.schema),
        _cell(profile.tokens, seen.tokens),
        thinking,
        ", ".join(left_out) or "nothing",
    )


async def generated() -> str:
    """The table and its sources as Markdown."""
    rows = [_row(profile, await observe(profile)) for profile in PROFILES]
    table = [_HEAD, ("---",) * len(_HEAD), *rows]
    lines = [f"| {' | '.join(row)} |" for row in table]
    sources = [f"- {profile.name}: {', '.join(profile.sources)}" for profile in PROFILES]
    return "\n".join([*lines, "", "Told by:", "", *sources, ""])


def main() -> int:
    """Write the page, or say whether it is current."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    page = PAGE.read_text()
    current = _GENERATED.sub(lambda _: asyncio.run(generated()), page)
    if "--check" in sys.argv:
        if current != page:
            sys.stderr.write(f"{PAGE} is not current\n")
        return int(current != page)
    PAGE.write_text(current)
    return 0


if __name__ == "__main__":
    sys.exit(main())

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workers.engines.openai.profiles import ANSWER, PROFILES, Profile, observe
from workers.engines.openai.parameters import NEEDED


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
async def test_a_server_that_does_what_is_told_of_it_is_understood(profile: Profile) -> None:
    seen = await observe(profile)
    assert seen.model == profile.sent
    assert seen.text == "".join(ANSWER)
    assert seen.left_out.keys() == profile.refuses.keys() - NEEDED.keys()
    for capability in ("usage", "cached", "logprobs", "schema", "tokens"):
        assert getattr(seen, capability) == bool(getattr(profile, capability)), capability


def test_the_page_says_what_was_observed() -> None:
    root = Path(__file__).parents[4]
    command = [sys.executable, "-m", "scripts.servers", "--check"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + "run: python -m scripts.servers"

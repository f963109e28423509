"""The examples for clients, run as they stand, and what clients do when they are refused or leave."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.clients.conftest import SAID, Served
from tests.clients.environment import BINARIES, EXAMPLES

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(900)]

PROGRAMS = Path(__file__).with_name("programs")
STREAM = (
    r"A vote begins\.\n(Branch \d begins\.\n){3,}(Branch \d says 72[^\n]*\n){3,}"
    rf"Enough: the branches agree\.\nAll \d branches agree\.\n{re.escape(SAID)}\n\nAnswer: 72\n"
)
ASKED = r"answer: 72 \(all \d branches agree, \d calls\)\n"
EVENT = r"event: science fair on Friday with Alice and Bob\n"
RESUMED = rf"left after event 3\nwent on with event 4\ncompleted: {re.escape(SAID)}\n\nAnswer: 72\n"
REFUSED = r"NotFoundError: model_not_found, model\nBadRequestError: unsupported_parameter, logprobs\n"

PRINTS = {
    "ai_sdk.mjs": rf"answer: 72, tokens: \d+\n{STREAM}{EVENT}",
    "dspy_predict.py": r"72\n",
    "langgraph_vote.py": (
        rf"{re.escape(SAID)}\n\nAnswer: 72\ntokens: \d+\ndecided: 72\ntold: {re.escape(SAID)}[^\n]*\n[^\n]*\n"
    ),
    "litellm_provider.py": rf"answer: 72, tokens: \d+\n{STREAM}(?s:.*)NotFoundError: 404\n",
    "openai_background.py": rf"{RESUMED}{re.escape(SAID)}[^\n]*\n[^\n]*\n",
    "openai_chat.mjs": rf"{ASKED}{STREAM}tokens: \d+\n{EVENT}{REFUSED}{RESUMED}",
    "openai_chat.py": rf"{ASKED}tokens: \d+\n{STREAM}tokens: \d+\n{EVENT}{REFUSED}",
}
"""What each example prints, as a regular expression."""


@pytest.mark.parametrize("name", PRINTS)
def test_an_example_prints_what_it_says(name: str, served: Served, node_folder: Path) -> None:
    path = EXAMPLES / name
    if path.suffix == ".mjs":  # Node looks for packages beside the program
        path = Path(shutil.copy(path, node_folder))
    program = BINARIES / ("node" if path.suffix == ".mjs" else "python")
    printed = served.run(program, path, folder=node_folder)
    assert re.fullmatch(PRINTS[name], printed), printed


def test_llm_asks_models_of_its_own_list(served: Served, tmp_path: Path) -> None:
    models = (EXAMPLES / "llm" / "extra-openai-models.yaml").read_text()
    (tmp_path / "extra-openai-models.yaml").write_text(models.replace("http://localhost:8080/v1", served.url))

    def llm(*arguments: str) -> str:
        return served.run(BINARIES / "llm", *arguments, folder=tmp_path, LLM_USER_PATH=str(tmp_path))

    llm("keys", "set", "anabranch", "--value", served.key)
    assert llm("-m", "anabranch-vote", "How many clips?") == f"{SAID}\n\nAnswer: 72\n"
    assert '"day": "Friday"' in llm("-m", "anabranch", "--schema", "name, day", "Who is at the science fair?")
    assert llm("--continue", "And how many clips in May?").startswith(SAID)


def test_lm_eval_scores_a_task_of_our_own(served: Served, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EXAMPLES / "lm_eval", tmp_path / "lm_eval"))
    where = f"model=anabranch/vote,base_url={served.url}/chat/completions,num_concurrent=3"
    asking = ("--model", "local-chat-completions", "--model_args", where, "--apply_chat_template")
    scored = served.run(
        *(BINARIES / "lm_eval", "run", *asking, "--include_path", ".", "--tasks", "sums"), folder=folder
    )
    # Two of the three answers that are written down for the engine are right: a path has lamps at both ends.
    assert re.search(r"exact_match\|↑ +\|0\.6667\|", scored), scored


@pytest.mark.parametrize("name", ["retries.py", "retries.mjs"])
def test_a_client_tries_again_what_may_succeed(name: str, impatient: Served, node_folder: Path) -> None:
    path = Path(shutil.copy(PROGRAMS / name, node_folder))
    program = BINARIES / ("node" if path.suffix == ".mjs" else "python")
    once = "sent: 1" if path.suffix == ".mjs" else "should retry: false"
    assert impatient.run(program, path, folder=node_folder) == (
        "answers: 3, waited: True\n"
        f"conflict: idempotency_conflict, {once}\n"
        f"no model: model_not_found, {once}\n"
    ).replace("True", "true" if path.suffix == ".mjs" else "True")


def test_a_client_that_leaves_frees_the_engine(served: Served, node_folder: Path) -> None:
    path = Path(shutil.copy(PROGRAMS / "leaving.mjs", node_folder))
    printed = served.run(BINARIES / "node", path, folder=node_folder, ENGINE=served.engine)
    took = dict(re.findall(r"(\w+): (\d+) ms", printed))
    assert set(took) == {"planner", "call", "answer"}
    # On a machine with nothing else to do it takes some milliseconds; each call would go on for minutes.
    assert all(int(each) < 5_000 for each in took.values()), took

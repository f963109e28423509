"""What a program of a model returns is read, and what it does beyond that is not possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import programs
from benchmarks.programs import alike, code_in, returned


def test_a_function_is_called_with_each_list_of_arguments() -> None:
    code = "def add(a, b):\n    print('adding')\n    return a + b"
    assert returned(code, "add", [[1, 2], ["a", "b"], [[1], [2]]]) == [3, "ab", [1, 2]]


@pytest.mark.parametrize(
    "body",
    [
        "return",
        "raise ValueError",
        "return {1, 2}",
        "import socket; return socket.socket().fileno()",
        "import os; return os.system('true')",
        "import subprocess; return subprocess.run(['true']).returncode",
        "return len('x' * 2**32)",
        "import sys; sys.exit(0)",
        "import os; return sorted(os.environ.get('PATH', 1 / 0))",
    ],
)
def test_what_is_not_allowed_or_goes_wrong_returns_nothing(body: str) -> None:
    assert returned(f"def f():\n    {body}", "f", [[]]) in (None, [None])


def test_a_program_that_cannot_be_compiled_or_lacks_the_function() -> None:
    assert returned("def f(:", "f", [[]]) is None
    assert returned("def g():\n    return 1", "f", [[]]) is None


def test_it_has_a_directory_of_its_own_and_a_limit_to_what_it_writes() -> None:
    code = "import os\ndef f():\n    return [os.getcwd(), os.listdir()]"
    found = returned(code, "f", [[]])
    assert found is not None
    assert found[0][0] != str(Path.cwd())
    assert found[0][1] == []
    assert not Path(found[0][0]).exists()
    assert returned("def f():\n    open('big', 'w').write('x' * 2**22)\n    return 1", "f", [[]]) is None


@pytest.mark.parametrize("body", ["while True: pass", "import time; time.sleep(60)"])
def test_it_has_little_time(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    monkeypatch.setattr(programs, "CPU_SECONDS", 1)
    monkeypatch.setattr(programs, "WALL_SECONDS", 2.0)
    assert returned(f"def f():\n    {body}", "f", [[]]) is None


def test_the_last_block_is_the_program() -> None:
    assert code_in("First:\n```python\na = 1\n```\nthen\n```python\nb = 2\n```\nDone.") == "b = 2"
    assert code_in("def f(): return 1") == "def f(): return 1"


@pytest.mark.parametrize(
    ("result", "expected", "same"),
    [
        (1, 1, True), (1.0, 1, True), (0.1 + 0.2, 0.3, True), (1, True, False), (True, True, True),
        (True, 1, False), ("1", 1, False), ([1, [2.0]], [1, [2]], True), ([1], [1, 2], False),
        ({"a": 1}, {"a": 1.0}, True), ({"a": 1}, {"b": 1}, False), (None, None, True), ("a", "b", False),
    ],
)  # fmt: skip
def test_results_are_compared_by_type_and_value(result: object, expected: object, same: bool) -> None:
    assert alike(result, expected) is same

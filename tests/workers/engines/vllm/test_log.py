from __future__ import annotations

from workers.engines.vllm.log import ServerLog


def test_a_warning_is_not_taken_for_the_cause() -> None:
    log = ServerLog()
    log.extend(
        [
            "(APIServer pid=1) WARNING 11-22 12:10:19 [x.py:1] This can cause `OSError: [Errno 24] y`",
            "(EngineCore pid=2) ERROR 11-22 12:10:20 [x.py:2] ValueError: the weights are missing",
            *["more"] * 20,
        ]
    )
    assert "OSError" not in log.last_lines()
    assert "ValueError: the weights are missing" in log.last_lines()

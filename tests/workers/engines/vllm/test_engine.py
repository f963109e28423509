from __future__ import annotations

import pytest

from workers.engines.vllm.engine import gauge


def test_a_gauge_is_summed_over_its_labels() -> None:
    text = (
        "# HELP vllm:num_requests_running Running.\n"
        'vllm:num_requests_running{engine="0"} 3.0\n'
        'vllm:num_requests_running{engine="1"} 2.0\n'
        'vllm:num_requests_running_total{engine="1"} 99\n'
    )
    assert gauge(text, "vllm:num_requests_running") == 5
    assert gauge(text, "vllm:num_requests_waiting") is None


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-5", "", "many"])
def test_a_gauge_without_a_number_tells_nothing(value: str) -> None:
    assert gauge(f'vllm:num_requests_running{{engine="0"}} {value}\n', "vllm:num_requests_running") is None

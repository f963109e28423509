from __future__ import annotations

import re
import time

import pytest

from orchestrator.consensus.embedded import json_objects

NAMED = re.compile(r'\{(?="name")')


def test_objects_come_in_the_order_in_which_they_begin() -> None:
    text = 'first {"a": 1}, then {"b": {"c": 2}} and {not this} {"d": 3}'
    assert list(json_objects(text)) == [{"a": 1}, {"b": {"c": 2}}, {"d": 3}]
    assert list(json_objects(text, nested=True)) == [{"a": 1}, {"b": {"c": 2}}, {"c": 2}, {"d": 3}]


def test_an_object_that_was_cut_off_may_hold_whole_ones() -> None:
    assert list(json_objects('{"a": [{"b": 1}, {"c": 2}, {"d')) == [{"b": 1}, {"c": 2}]


@pytest.mark.parametrize("depth", [1, 128, 500])
def test_an_object_inside_many_that_were_cut_off_is_found(depth: int) -> None:
    assert list(json_objects('{"a": ' * depth + '{"b": 1}')) == [{"b": 1}]


def test_what_is_too_deep_is_passed_over_if_objects_may_be_nested() -> None:
    text = '[{"x": ' + "[" * 100_000 + ' {"b": 1}'
    assert list(json_objects(text, nested=True)) == [{"b": 1}]


def test_where_an_object_may_begin_can_be_said() -> None:
    assert list(json_objects('{"a": 1} {"name": 2}', NAMED)) == [{"name": 2}]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("text", ['{"a":' * 20_000, '{"a":[' * 20_000, '{"a":' * 500 + "1" * 90_000])
def test_what_is_nested_without_end_is_given_up_soon(text: str, nested: bool) -> None:
    """Whether the decoder refuses the depth, as it does up to Python 3.13, or reads it again and again."""
    began = time.thread_time()
    assert list(json_objects(text, nested=nested)) == []
    assert time.thread_time() - began < 5.0  # all but a tenth of a second is for slow machines

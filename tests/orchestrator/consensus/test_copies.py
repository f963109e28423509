import pytest

from orchestrator.consensus.copies import Draw, copied

LONG = "a chain of thought that is long enough to be different every time it is sampled, and yet it is not"


def own(count: int, **known: object) -> list[Draw]:
    """Draws with seeds of their own."""
    return [Draw(seed=seed, **known) for seed in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["72", LONG])
def test_equal_texts_alone_are_no_copies(text: str) -> None:
    assert copied([text] * 5, own(5)) is None
    assert copied([text] * 5, [Draw()] * 5) is None


def test_one_seed_twice_makes_a_copy_where_the_server_heeds_seeds() -> None:
    draws = [Draw(seed=1), Draw(seed=2), Draw(seed=1)]
    assert "same seed" in (copied(["7", "7", "7"], draws) or "")
    assert "same seed" in (copied(["7", "8", "7"], draws) or "")
    assert copied(["7", "7", "8"], draws) is None


def test_a_server_that_says_so_answered_from_a_cache() -> None:
    stored = [Draw(seed=0), *(Draw(seed=seed, cached=True) for seed in (1, 2))]
    assert "the server says so" in (copied(["7", "7", "7"], stored) or "")
    assert copied(["7", "8", "9"], stored) is None


def test_a_cache_that_tells_seeds_apart_holds_samples_of_their_own() -> None:
    assert copied(["7", "8", "7"], own(3, cached=True)) is None


def test_a_call_that_took_no_time_was_not_computed() -> None:
    slow = Draw(seed=0, tokens=40, seconds=2.0, writing=1.5)
    stored = Draw(seed=1, tokens=40, seconds=0.004, writing=0.0)
    assert "took no time" in (copied(["7", "7"], [slow, stored]) or "")
    assert copied(["7", "8"], [slow, stored]) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param((30.0, 1.5), (2.0, 1.4), id="one waited in a queue"),
        pytest.param((30.0, 0.0), (2.0, 0.0), id="and texts come in one piece"),
        pytest.param((30.0, 0.0004), (2.0, 0.00002), id="and texts come in nearly one piece"),
        pytest.param((0.02, 0.015), (0.001, 0.0), id="nothing takes time"),
        pytest.param((2.0, 1.5), (None, None), id="not measured"),
    ],
)
def test_calls_of_which_time_says_nothing(
    first: tuple[float, float], second: tuple[float | None, float | None]
) -> None:
    draws = [
        Draw(seed=seed, tokens=40, seconds=seconds, writing=writing)
        for seed, (seconds, writing) in enumerate((first, second))
    ]
    assert copied(["7", "7"], draws) is None
    assert copied(["7", "7"], draws[::-1]) is None

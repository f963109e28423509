"""What OpenAI's client tries again, and what it does not: prints what came of each."""

from typing import Any

from openai import ConflictError, NotFoundError, OpenAI

MESSAGES = [{"role": "user", "content": "How many clips?"}]
ONCE = {"Idempotency-Key": "retries.py"}
client = OpenAI(max_retries=8)


def ask(**given: Any) -> tuple[int, str]:
    """One question of the cheapest kind; how often it was tried again, and its answer."""
    asked: dict[str, Any] = {"model": "anabranch/direct", "messages": MESSAGES, **given}
    raw = client.chat.completions.with_raw_response.create(**asked)
    return raw.retries_taken, raw.parse().choices[0].message.content or ""


# A key that may not ask twice at once: the client waits as long as it is told, and gets its answers.
answers = [ask(extra_headers=ONCE) for _ in range(3)]
print(f"answers: {sum('72' in text for _, text in answers)}, waited: {any(tries for tries, _ in answers)}")

# By itself, the client would try both of these again; what refuses them is not the rate but what they ask.
REFUSED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("conflict", {"extra_headers": ONCE, "messages": [{"role": "user", "content": "Other clips?"}]}),
    ("no model", {"model": "none"}),
)
for what, given in REFUSED:
    try:
        ask(**given)
    except (ConflictError, NotFoundError) as error:
        print(f"{what}: {error.code}, should retry: {error.response.headers['x-should-retry']}")

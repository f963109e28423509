"""OpenAI's own client: an answer, a stream of it with what leads to it, an answer as data, and errors.

    OPENAI_BASE_URL=http://localhost:8080/v1 OPENAI_API_KEY=anb_… python openai_chat.py

Prints the answer with what it rests on, the stream with its thinking, the name of a day, and two errors.
"""

from openai import BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel

QUESTION = "Natalia sold 48 clips in April, and half as many in May. How many clips did she sell altogether?"

client = OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY


class Event(BaseModel):
    """What an answer is to be read as."""

    name: str
    day: str
    people: list[str]


def ask() -> None:
    """One question; ``anabranch`` tells what only this service knows."""
    completion = client.chat.completions.create(
        model="anabranch/vote",
        messages=[{"role": "user", "content": QUESTION}],
        extra_body={"anabranch": {"options": {"n": 5}, "content": "answer"}},
    )
    own = (completion.model_extra or {})["anabranch"]
    print(f"answer: {completion.choices[0].message.content} ({own['trust']}, {own['calls']} calls)")
    print(f"tokens: {completion.usage.total_tokens if completion.usage else 0}")


def stream() -> None:
    """The same, as it comes: first how the branches vote, then the answer."""
    chunks = client.chat.completions.create(
        model="anabranch/vote",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in chunks:
        for choice in chunk.choices:
            print((choice.delta.model_extra or {}).get("reasoning_content", ""), end="")
            print(choice.delta.content or "", end="", flush=True)
        if chunk.usage:
            print(f"\ntokens: {chunk.usage.total_tokens}")


def parse() -> None:
    """An answer that is checked against a schema before it comes."""
    completion = client.chat.completions.parse(
        model="anabranch/vote",
        messages=[
            {"role": "system", "content": "Extract the event."},
            {"role": "user", "content": "Alice and Bob are going to a science fair on Friday."},
        ],
        response_format=Event,
    )
    event = completion.choices[0].message.parsed
    print(f"event: {event.name} on {event.day} with {' and '.join(event.people)}" if event else "no event")


def fail() -> None:
    """What cannot succeed is an exception of its own kind, which says what would be right."""
    try:
        client.chat.completions.create(model="gpt-none", messages=[{"role": "user", "content": QUESTION}])
    except NotFoundError as error:
        print(f"{type(error).__name__}: {error.code}, {error.param}")
    try:
        client.chat.completions.create(
            model="anabranch/vote", messages=[{"role": "user", "content": QUESTION}], logprobs=True
        )
    except BadRequestError as error:
        print(f"{type(error).__name__}: {error.code}, {error.param}")


if __name__ == "__main__":
    ask()
    stream()
    parse()
    fail()

"""LiteLLM: a planner as a model of an OpenAI-compatible provider.

    OPENAI_BASE_URL=http://localhost:8080/v1 OPENAI_API_KEY=anb_… python litellm_provider.py

Prints an answer, the same as a stream with what leads to it, and an error.
"""

import os

import litellm

QUESTION = "Natalia sold 48 clips in April, and half as many in May. How many clips did she sell altogether?"
MESSAGES = [{"role": "user", "content": QUESTION}]
SERVICE = {"api_base": os.environ["OPENAI_BASE_URL"], "api_key": os.environ["OPENAI_API_KEY"]}


def main() -> None:
    """Ask once, ask for a stream, and ask for what is refused."""
    answer = litellm.completion(
        model="openai/anabranch/vote",
        messages=MESSAGES,
        extra_body={"anabranch": {"content": "answer"}},
        **SERVICE,
    )
    print(f"answer: {answer.choices[0].message.content}, tokens: {answer.usage.total_tokens}")

    thinking, text = "", ""
    for chunk in litellm.completion(model="openai/anabranch/vote", messages=MESSAGES, stream=True, **SERVICE):
        delta = chunk.choices[0].delta
        thinking += getattr(delta, "reasoning_content", None) or ""
        text += delta.content or ""
    print(thinking + text)

    try:
        litellm.completion(model="openai/gpt-none", messages=MESSAGES, **SERVICE)
    except litellm.NotFoundError as error:
        print(f"{type(error).__name__}: {error.status_code}")


if __name__ == "__main__":
    main()

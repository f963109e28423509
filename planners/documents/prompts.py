"""What models are asked about a chunk: the material first and the question last.

So the prompts of another question about the same material, and those that look once more at a chunk, begin
as these do, and an engine with a prefix cache computes only what comes after the material and the task.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from orchestrator.runtime.messages import Message, Part, user
from orchestrator.runtime.values import Question
from planners.questions import asked, conversation, slot

QUOTE: Final = (
    "The material is one part of a longer text. Copy from it, word for word, the sentences that help to "
    "answer the question below, also those that answer only a piece of it. Write each on a line of its own, "
    "and nothing besides. If no sentence of this part helps, reply: nothing.\n"
)
FOLLOW: Final = (
    "The results were found in other parts of the text. Copy, in the same way, the sentences of the material "
    "that say more of what the results name and the question needs."
)
RELEVANT: Final = (
    "The material is one part of a longer text. Decide whether it says anything that helps to answer the "
    "question below, or a piece of it. Do not answer the question.\n"
    "A: it does.\n"
    "B: it does not.\n"
    "Reply with one letter: A or B.\n"
)
COMPLETE: Final = (
    "The material has all that was found. Decide whether it is enough to answer the question below. Do not "
    "answer the question.\n"
    "A: it says all that is needed.\n"
    "B: something that it names has to be looked up first.\n"
    "Reply with one letter: A or B.\n"
)
ALONE: Final = (
    "The material is one part of a longer text. If it answers the question below, say in a few short lines "
    "how, and give the final answer alone in \\boxed{}: for choices, the letter. If it does not answer the "
    "question, reply: nothing.\n"
)


def over(material: str, task: str, question: Question, *more: Part) -> list[Message]:
    """The prompt with a task about a piece of the material; ``more`` comes after the question."""
    return [
        *conversation(question),
        user(slot("material", material), task, "".join(asked(replace(question, context=""))), *more),
    ]


def following(facts: str) -> str:
    """What comes after the question where facts from other chunks are to be followed."""
    return slot("results", facts) + FOLLOW

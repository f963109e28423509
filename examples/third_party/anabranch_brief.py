"""Answers with a word limit: a planner, and the tool with which it counts words."""

from typing import Annotated

from pydantic import Field

from anabranch import Answer, Question, Run, assistant, planner, tool, user


@tool
def word_count(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


@planner("brief")
async def brief(
    run: Run,
    question: Question,
    *,
    words: Annotated[int, Field(ge=1)] = 20,
    drafts: Annotated[int, Field(ge=1, le=16)] = 3,
) -> Answer:
    """Answer in at most ``words`` words: write drafts until one is short enough; the last one is cut."""
    asked = user(question.text, f"\n\nAnswer in at most {words} words.")
    prompt = [asked]
    for number in range(drafts):
        draft = run.generate(prompt, label=f"draft {number}")
        # The tool is given the handle: it starts once the draft is ready, and gets its text.
        if await run.tool("word_count", {"text": draft}) <= words:
            return Answer((await draft).text.strip())
        prompt = [asked, assistant(draft), user(f"That is too long. Say it in at most {words} words.")]
    run.note("still too long: cut", words=words)
    return Answer(" ".join((await draft).text.split()[:words]))

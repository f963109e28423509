"""LangChain's ChatOpenAI, and a LangGraph graph one of whose nodes is decided by a vote.

    OPENAI_BASE_URL=http://localhost:8080/v1 OPENAI_API_KEY=anb_… python langgraph_vote.py

Prints the answer as it streams, and then what the graph comes to.
"""

from typing import TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph

QUESTION = "Natalia sold 48 clips in April, and half as many in May. How many clips did she sell altogether?"

writer = ChatOpenAI(model="anabranch/direct")  # reads OPENAI_BASE_URL and OPENAI_API_KEY
voter = ChatOpenAI(model="anabranch/vote", extra_body={"anabranch": {"content": "answer"}})


class State(TypedDict):
    """What the nodes hand on."""

    question: str
    answer: str
    sentence: str


def decide(state: State) -> dict[str, str]:
    """A node that must be right: several chains of thought vote, and the short answer goes on."""
    return {"answer": voter.invoke(state["question"]).text}


def tell(state: State) -> dict[str, str]:
    """A node that only has to write: one call."""
    asked = f"Say in one sentence that the answer to this question is {state['answer']}: {state['question']}"
    return {"sentence": writer.invoke(asked).text}


def graph() -> StateGraph[State]:
    """The nodes, one after the other."""
    made = StateGraph(State)
    made.add_node("decide", decide)
    made.add_node("tell", tell)
    made.add_edge(START, "decide")
    made.add_edge("decide", "tell")
    made.add_edge("tell", END)
    return made


if __name__ == "__main__":
    for chunk in ChatOpenAI(model="anabranch/vote", stream_usage=True).stream(QUESTION):
        print(chunk.text, end="", flush=True)
        if chunk.usage_metadata:
            print(f"\ntokens: {chunk.usage_metadata['total_tokens']}")
    state = graph().compile().invoke({"question": QUESTION})
    print(f"decided: {state['answer']}")
    print(f"told: {state['sentence']}")

"""DSPy: its programs on planners, by their names.

    OPENAI_BASE_URL=http://localhost:8080/v1 OPENAI_API_KEY=anb_… python dspy_predict.py

Prints the field that a signature asks for.
"""

import os

import dspy

QUESTION = "Natalia sold 48 clips in April, and half as many in May. How many clips did she sell altogether?"


def main() -> None:
    """A signature, answered by a vote; a cache of DSPy's own would hide that."""
    dspy.configure(
        lm=dspy.LM(
            "openai/anabranch/vote",
            api_base=os.environ["OPENAI_BASE_URL"],
            api_key=os.environ["OPENAI_API_KEY"],
            cache=False,
        )
    )
    print(dspy.Predict("question -> answer: int")(question=QUESTION).answer)


if __name__ == "__main__":
    main()

"""OpenAI's own client, Responses API: an answer that goes on while nobody listens.

    OPENAI_BASE_URL=http://localhost:8080/v1 OPENAI_API_KEY=anb_… python openai_background.py

Prints after how many events the connection was closed, that the stream goes on with the next, and the answer.
"""

from openai import OpenAI

QUESTION = "Natalia sold 48 clips in April, and half as many in May. How many clips did she sell altogether?"

client = OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY


def main() -> None:
    """Leave in the middle, and come back; that could be from another machine."""
    response, last = "", -1
    with client.responses.create(
        model="anabranch/vote", input=QUESTION, background=True, stream=True
    ) as events:
        for event in events:
            last = event.sequence_number
            if event.type == "response.created":
                response = event.response.id
            if last == 3:
                break  # the connection is closed, and the work goes on
    print(f"left after event {last}")

    missed = client.responses.retrieve(response, stream=True, starting_after=last)
    numbers = [event.sequence_number for event in missed]
    print(f"went on with event {numbers[0]}")

    done = client.responses.retrieve(response)
    print(f"{done.status}: {done.output_text}")

    more = client.responses.create(
        model="anabranch/direct", input="And how many clips in May alone?", previous_response_id=done.id
    )
    print(more.output_text)
    client.responses.delete(done.id)


if __name__ == "__main__":
    main()

"""``python -m benchmarks.service.probing JSON``: times one request after the other on one connection.

It is a process of its own, so that what it measures is not how busy the other clients are. It prints
``ready``, asks until its standard input ends, and prints a list of ``[path, status, seconds]``; a status of 0
is no answer.
"""

from __future__ import annotations

import http.client
import json
import select
import sys
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

PATIENCE_SECONDS = 10.0


class Caller:
    """One connection that is kept, and made again when it has broken."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_SECONDS)
        self._headers = dict(headers)

    def ask(self, path: str) -> tuple[int, float]:
        """The status and the seconds until the whole answer was there."""
        began = time.perf_counter()
        try:
            self._connection.request("GET", path, headers=self._headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, time.perf_counter() - began
        return response.status, time.perf_counter() - began

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def main() -> None:
    """Ask until standard input ends."""
    given = json.loads(sys.argv[1])
    caller = Caller(given["url"], given["headers"])
    found: list[tuple[str, int, float]] = []
    print("ready", flush=True)
    number = 0
    while not select.select([sys.stdin], [], [], given["pause"])[0]:
        path = given["paths"][number % len(given["paths"])]
        found.append((path, *caller.ask(path)))
        number += 1
    print(json.dumps(found))


if __name__ == "__main__":
    main()

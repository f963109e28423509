"""Where a server is asked and how its key is sent: what is made of the address that somebody gave."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from yarl import URL

from workers.redaction import redacted

_ENDPOINT = re.compile(r"(/chat)?/completions$")
_VERSION = re.compile(r"/v\d+\w*(/|$)")
_DEPLOYMENT = re.compile(r"/deployments/(?P<name>[^/]+)$")
_AZURE = (".azure.com", ".azure.us", ".azure.cn", ".azure-api.net")
_ENTRA = "eyJ"  # how a token of Microsoft Entra begins, which is no key


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server. ``base`` has a path and perhaps a user, and neither query nor fragment.

    ``query`` is sent with every request. ``others`` are paths at which the server may be in place of
    ``base``'s: people leave ``/v1`` out, or give it where there is none.
    """

    base: URL
    query: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()

    @property
    def root(self) -> URL:
        """The base without ``/v1``."""
        return self.base.with_path(self.base.path.removesuffix("/v1"))

    @property
    def deployment(self) -> str | None:
        """The model that the path names, as Azure's do (``/openai/deployments/NAME``)."""
        found = _DEPLOYMENT.search(self.base.path)
        return found["name"] if found else None

    def at(self, path: str) -> URL:
        """A path below the base, or below the root if it begins with a slash."""
        above = self.root if path.startswith("/") else self.base
        return above.joinpath(path.removeprefix("/")).with_query(self.query)

    def elsewhere(self) -> Iterable[Address]:
        """The addresses to try when nothing is found here."""
        return (replace(self, base=self.base.with_path(path), others=()) for path in self.others)

    def credentials(self, key: str) -> dict[str, str]:
        """The headers that carry ``key``: a bearer token, and Azure's own header where the server is Azure's.

        https://learn.microsoft.com/azure/ai-foundry/openai/reference#authentication
        """
        bearer = {"Authorization": f"Bearer {key}"}
        if key.startswith(_ENTRA):
            return bearer
        if (self.base.host or "").endswith(_AZURE):
            return {"api-key": key}
        return bearer | {"api-key": key} if self.deployment else bearer


def read_address(given: str) -> Address:
    """What is meant by ``given``: a base URL with or without ``/v1``, or the address of an endpoint below it.

    Raises:
        ValueError: it is no address of a web server.
    """
    url = URL(given)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"base_url is {redacted(given)!r}: give something like http://127.0.0.1:8000/v1")
    path = _ENDPOINT.sub("", url.path.rstrip("/"))
    others: tuple[str, ...] = ()
    if not path:
        path, others = "/v1", ("",)
    elif path.endswith("/v1"):
        others = (path.removesuffix("/v1"),)
    elif not _VERSION.search(path) and not _DEPLOYMENT.search(path):
        others = (f"{path}/v1",)
    return Address(url.with_path(path), tuple(url.query.items()), others)

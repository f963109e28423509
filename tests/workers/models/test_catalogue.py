from __future__ import annotations

import json

import pytest

from workers.errors import ModelUnavailable
from workers.models.catalogue import CATALOGUE, DEFAULT_MODEL, find
from workers.models.files import fetch
from workers.models.sources import Download, Mirror


async def test_unknown_names_get_the_known_ones() -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await fetch("qwen2.5-coder-0.5")
    assert "Did you mean qwen2.5-coder-0.5b?" in str(caught.value)
    assert all(name in str(caught.value) for name in CATALOGUE)
    with pytest.raises(ModelUnavailable, match=r"no model is called 'xyz'\. Known"):
        find("xyz")


def test_the_catalogue_is_consistent() -> None:
    assert find(DEFAULT_MODEL.upper()).name == DEFAULT_MODEL == next(iter(CATALOGUE))
    for name, each in CATALOGUE.items():
        assert each.name == name
        assert len(each.sha256) == 64
        assert each.licence
        hub, mirror = each.sources
        assert isinstance(hub, Download)
        assert hub.url.startswith("https://")
        assert hub.url.endswith(each.file)
        assert isinstance(mirror, Mirror)
        assert sum(part.size for part in mirror.parts) == each.size
        json.dumps(str(mirror))

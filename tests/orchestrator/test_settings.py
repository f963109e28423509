"""Where settings come from, and which of them counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.settings import Settings


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of secrets as Kubernetes mounts one: links to files in a directory of that moment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANABRANCH_DATABASE", raising=False)
    directory = tmp_path / "secrets"
    (directory / "..data").mkdir(parents=True)
    for name, text in (("anabranch_database", "postgresql://a:b@h/n\n"), ("anabranch_concurrency", "7")):
        (directory / "..data" / name).write_text(text)
        (directory / name).symlink_to(Path("..data", name))
    monkeypatch.setenv("ANABRANCH_SECRETS_DIR", str(directory))
    return directory


def test_settings_may_stand_in_files_of_their_names(secrets: Path) -> None:
    found = Settings.read()
    assert found.database == "postgresql://a:b@h/n"
    assert found.concurrency == 7
    assert found.secrets_dir == secrets


def test_what_is_nearer_counts_more(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets.parent / ".env").write_text("ANABRANCH_DATABASE=sqlite:///of-file.db\nANABRANCH_CONCURRENCY=8")
    assert Settings.read().database == "sqlite:///of-file.db"
    monkeypatch.setenv("ANABRANCH_DATABASE", "sqlite:///of-environment.db")
    assert Settings.read().database == "sqlite:///of-environment.db"
    assert Settings.read(database="memory").database == "memory"
    assert Settings.read().concurrency == 8


def test_a_value_that_is_wrong_is_named_wherever_it_stands(secrets: Path) -> None:
    (secrets / "..data" / "anabranch_concurrency").write_text("many")
    with pytest.raises(InvalidRequest, match="concurrency"):
        Settings.read()


def test_a_directory_that_is_not_there_is_named(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (secrets / "none", secrets / "anabranch_database"):
        monkeypatch.setenv("ANABRANCH_SECRETS_DIR", str(wrong))
        with pytest.raises(InvalidRequest, match=f"ANABRANCH_SECRETS_DIR: there is no directory {wrong}"):
            Settings.read()


def test_a_secret_that_cannot_be_read_is_named(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "..data" / "anabranch_database").write_bytes(b"\xff")
    with pytest.raises(InvalidRequest, match=r"database.*cannot be read"):
        Settings.read()

    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(InvalidRequest, match=r"database.*cannot be read: .*Permission denied"):
        Settings.read()


def test_a_directory_that_would_not_be_read_is_refused(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANABRANCH_SECRETS_DIR")
    (secrets.parent / ".env").write_text(f"ANABRANCH_SECRETS_DIR={secrets}")
    with pytest.raises(InvalidRequest, match=r"secrets_dir: .*in the environment only"):
        Settings.read()
    (secrets.parent / ".env").unlink()
    with pytest.raises(InvalidRequest, match=r"secrets_dir: .*in the environment only"):
        Settings.read(secrets_dir=secrets)

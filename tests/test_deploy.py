"""What is in ``deploy/``: each file passes the checker of its kind, and names only what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from orchestrator.api.handlers import openapi_document
from orchestrator.api.keeping import UPLOADS
from orchestrator.cli.app import app
from orchestrator.cli.ending import ENDED_SECONDS
from orchestrator.settings import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
VERSIONS = ["1.30", "1.37"]
"""The oldest and the newest Kubernetes that the manifests are for."""
EXPOSURE = 20
"""The worst that `systemd-analyze security` may say of the unit, of 100."""


def tool(name: str) -> str:
    """A checker that the extra `dev` installs where there is one for the platform."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed; the extra dev has it")
        pytest.skip(f"{name} is not installed")
    return found


def told(*arguments: str | Path, code: int = 0) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, cwd=ROOT)
    said = f"{done.stdout}{done.stderr}"
    assert done.returncode == code, said
    return said


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def manifest(kind: str) -> dict[str, Any]:
    (found,) = [each for path in KUBERNETES for each in documents(path) if each["kind"] == kind]
    return found


# -- each file in its own language ------------------------------------------------------------------


def test_the_image_is_built_by_the_book() -> None:
    told(tool("hadolint"), DEPLOY / "Dockerfile")


def test_all_yaml_is_plain() -> None:
    told(tool("yamllint"), "--strict", "--config-file", DEPLOY / "yamllint.yaml", DEPLOY)


def test_compose_reads_its_file() -> None:
    told(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_manifests(version: str) -> None:
    kept = [path for path in KUBERNETES if path.name != "kustomization.yaml"]  # of kubectl, not of the API
    said = told(tool("kubernetes-validate"), "--strict", "-k", version, *kept)
    assert said.count("passed for resource") == len(kept)
    assert "WARN" not in said


def test_kustomize_takes_every_manifest_but_the_example() -> None:
    (kustomization,) = documents(DEPLOY / "kubernetes/kustomization.yaml")
    there = {path.name for path in KUBERNETES} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(kustomization["resources"]) == there


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with its drop-in, and a command that is on every machine."""
    copied = shutil.copytree(DEPLOY / "systemd", tmp_path / "systemd") / "anabranch.service"
    plain = copied.read_text().replace("/opt/anabranch/bin/anabranch", shutil.which("true") or "")
    copied.write_text(plain)
    return copied


def test_systemd_takes_the_unit_and_finds_it_closed(unit: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is part of systemd, which is not on this machine")
    assert told("systemd-analyze", "verify", unit) == ""
    told("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", unit)


# -- what they name exists --------------------------------------------------------------------------


def named_in(*paths: Path) -> Iterator[tuple[Path, str]]:
    for path in paths:
        for name in re.findall(r"ANABRANCH_[A-Z_]*[A-Z]", path.read_text()):
            yield path, name


def test_every_setting_exists() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    found = list(named_in(*files, ROOT / "docs/deploy.md"))
    assert len(found) > 10
    known = {f"ANABRANCH_{field.upper()}" for field in Settings.model_fields}
    assert [(path.name, name) for path, name in found if name not in known | {"ANABRANCH_URL"}] == []


def test_every_secret_is_the_file_of_a_setting() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    secrets = set(compose["services"]["anabranch"]["secrets"]) | set(manifest("Secret")["stringData"])
    secrets |= set(
        re.findall(
            r"^LoadCredential=(\w+):", (DEPLOY / "systemd/anabranch.service.d/secrets.conf").read_text(), re.M
        )
    )
    assert secrets <= {f"anabranch_{field}" for field in Settings.model_fields}
    assert secrets >= {"anabranch_database", "anabranch_api_key"}


def commands() -> dict[str, list[str]]:
    """Every command line in ``deploy/``, without the name of the program."""
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    (started,) = re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert 'ENTRYPOINT ["anabranch"]' in dockerfile
    (pod,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    (line,) = re.findall(
        r"^ExecStart=\S+/anabranch (.*)$", (DEPLOY / "systemd/anabranch.service").read_text(), re.M
    )
    return {"Dockerfile": json.loads(started), "Kubernetes": pod["args"], "systemd": line.split()}


def documented() -> Iterator[list[str]]:
    """The command lines of the page about deployment."""
    page = (ROOT / "docs/deploy.md").read_text().replace("\\\n", " ")
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        for line in re.findall(
            r"(?:^|\s|/)anabranch ((?:serve|solve|keys|workers|check|backup)\b[^|>\n]*)", block
        ):
            yield line.split()


def options_of(words: list[str]) -> set[str]:
    """The options of the command that is named first."""
    found: Any = get_command(app)
    for word in words:
        if word not in getattr(found, "commands", {}):
            break
        found = found.commands[word]
    return {option for each in found.params for option in each.opts}


def test_every_option_exists() -> None:
    lines = [*commands().values(), *documented()]
    assert len(lines) > 4
    for words in lines:
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= options_of(words), words


def test_every_probe_is_a_route() -> None:
    (pod,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    probed = {pod[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    texts = [(DEPLOY / name).read_text() for name in ("Dockerfile", "compose.yaml")]
    probed |= {path for text in texts for path in re.findall(r"127\.0\.0\.1:8080(/\w+)", text)}
    assert probed >= {"/livez"}
    assert probed <= set(openapi_document()["paths"])


# -- what must fit together -------------------------------------------------------------------------


def grace(environment: Mapping[str, str]) -> float:
    return float(environment.get("ANABRANCH_GRACE_SECONDS", Settings.model_fields["grace_seconds"].default))


def test_every_supervisor_waits_longer_than_a_drain_takes() -> None:
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    sleeps = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    given = {each["name"]: each["value"] for each in container["env"]}
    assert pod["terminationGracePeriodSeconds"] > sleeps + grace(given) + ENDED_SECONDS
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["anabranch"]
    assert (
        float(service["stop_grace_period"].removesuffix("s")) > grace(service["environment"]) + ENDED_SECONDS
    )
    (unit,) = re.findall(
        r"^TimeoutStopSec=(\d+)$", (DEPLOY / "systemd/anabranch.service").read_text(), re.MULTILINE
    )
    assert float(unit) > grace({}) + ENDED_SECONDS


def test_all_traces_that_are_received_fit_into_scratch_space() -> None:
    """A pod is evicted that takes more."""
    most = UPLOADS * Settings.model_fields["max_import_bytes"].default
    volumes = manifest("Deployment")["spec"]["template"]["spec"]["volumes"]
    (scratch,) = [each["emptyDir"]["sizeLimit"] for each in volumes if each["name"] == "scratch"]
    assert int(scratch.removesuffix("Mi")) << 20 > most
    (tmp,) = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["anabranch"]["tmpfs"]
    assert int(re.findall(r"size=(\d+)m$", tmp)[0]) << 20 > most


def test_no_process_is_root_or_can_become_it() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\d+):\d+$", dockerfile, re.MULTILINE)
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsUser"] == int(user) > 0
    assert pod["securityContext"]["runAsNonRoot"]
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_the_image_is_made_of_what_the_wheel_is_made_of() -> None:
    """Also, nothing else of a checkout is sent to the builder."""
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE)
        for name in line.split()
    }
    project = (ROOT / "pyproject.toml").read_text()
    (halls,) = re.findall(r"^only-include = (\[.*\])$", project, re.MULTILINE)
    assert copied == {*json.loads(halls), "pyproject.toml", "README.md", "LICENSE"}
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert next(line for line in ignored if not line.startswith("#")) == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied


def test_the_versions_of_images_are_pinned_and_ours_is_that_of_the_package() -> None:
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    texts = [path.read_text() for path in (DEPLOY / "compose.yaml", *KUBERNETES)]
    images = {image for text in texts for image in re.findall(r"^\s+image: (\S+)", text, re.MULTILINE)}
    bases = set(re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
    assert f"anabranch:{version}" in images
    assert len(bases) == 1
    for image in images | bases:
        assert re.search(r":v?\d[\w.-]*$", image), image

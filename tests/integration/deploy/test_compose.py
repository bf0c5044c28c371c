"""docker-compose.yml by the specification's schema and by compose's own loader; the Dockerfiles by a linter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from libs.local.deploy.fill import make_env
from libs.local.deploy.settings import deployment_settings
from libs.local.state import SERVICES
from tests.support.deployment import COMPOSE, ROOT, load

BIN = Path(sys.executable).parent
needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="compose's loader is built with Go")
SECRETS = [s.name for s in deployment_settings() if s.group == "secret"] + ["SLUICE_KEK", "BOOTSTRAP_API_KEY_SHA256"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `make env` writes, as compose reads it."""
    place = tmp_path_factory.mktemp("env")
    shutil.copy(ROOT / ".env.example", place)
    make_env(place)
    return {name: value for name, value in dotenv_values(place / ".env", interpolate=False).items() if value}


def test_settings_that_are_there_are_kept_and_what_to_do_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SLUICE_KEK=kept\n")
    with pytest.raises(FileExistsError, match="move it away first"):
        make_env(tmp_path)
    assert (tmp_path / ".env").read_text() == "SLUICE_KEK=kept\n"


def test_file_follows_the_compose_specification() -> None:
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dockerfiles_pass_the_linter() -> None:
    files = [ROOT / "deploy" / room / "Dockerfile" for room in ("image", "gateway")]
    done = subprocess.run([BIN / "hadolint", "--failure-threshold", "info", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_go
def test_environment_that_make_env_writes_is_all_that_compose_needs(filled: dict[str, str]) -> None:
    project = load(filled)
    assert len(project["services"]) == 14
    assert "$" not in str([part.get("environment") for part in project["services"].values()])
    for name in SERVICES:
        password = filled[f"{name.upper()}_DATABASE_PASSWORD"]
        told = project["services"][name]["environment"]
        assert told["DATABASE_URL"] == f"postgresql://{name}_app:{password}@postgres:5432/sluice"


@needs_go
def test_what_the_operator_sets_reaches_its_readers_and_what_not_is_left_out(filled: dict[str, str]) -> None:
    parts = load({**filled, "GITHUB_CLIENT_ID": "Iv1.x", "CHUNK_TOKENS": "512", "GATEWAY_HTTP_PORT": "80"})["services"]
    assert parts["auth"]["environment"]["GITHUB_CLIENT_ID"] == "Iv1.x"
    assert parts["auth"]["environment"]["GITHUB_CLIENT_SECRET"] is None
    assert "GITHUB_CLIENT_ID" not in parts["sync"]["environment"]
    assert parts["chunker"]["environment"]["CHUNK_TOKENS"] == "512"
    assert [port["published"] for port in parts["gateway"]["ports"]] == ["80", "8443"]


@needs_go
@pytest.mark.parametrize("name", SECRETS)
def test_missing_secret_is_named_before_anything_starts(filled: dict[str, str], name: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        load({key: value for key, value in filled.items() if key != name})
    assert f"required variable {name} is missing a value: is not set, run make env" in refusal.value.stderr


@needs_go
def test_reference_to_nothing_is_refused(filled: dict[str, str], tmp_path: Path) -> None:
    """The loader follows references: this is what makes the other tests worth something."""
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(COMPOSE.read_text().replace("  keys-chunker: {}\n", ""))
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        load(filled, broken)
    assert "keys-chunker" in refusal.value.stderr

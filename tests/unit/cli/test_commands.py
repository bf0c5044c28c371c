"""The command line without a stack: exit codes, where words go, and that no token is ever an argument."""

import io
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.cli import integrations
from libs.cli.integrations import connect_body, read_token
from libs.cli.screen import ago, short
from libs.cli.searching import search_body
from libs.local.client import Told

ROOT = Path(__file__).resolve().parents[3]


def sluice(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SLUICE_HOME": str(home / ".sluice"), "COLUMNS": "200"}
    command = [sys.executable, "-m", "libs.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_command_without_a_stack_fails_with_the_next_step_on_stderr_alone(tmp_path: Path) -> None:
    done = sluice(tmp_path, "search", "relay", "--json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "make up" in done.stderr


def test_misuse_exits_2_and_success_exits_0(tmp_path: Path) -> None:
    assert sluice(tmp_path, "connect").returncode == 2
    assert sluice(tmp_path, "connect", "github", "--token", "ghp_in_argv").returncode == 2
    helped = sluice(tmp_path, "--help")
    assert helped.returncode == 0
    assert all(name in helped.stdout for name in ("connect", "sync", "search", "trace", "dead-letters", "workspace"))


def test_body_of_connect_leaves_out_what_was_not_asked() -> None:
    assert connect_body("github", "t", "", None, None, False, 0) == {
        "provider": "github", "token": "t", "monitorChanges": False, "pollingEnabled": False,
    }  # fmt: skip
    assert connect_body("site", "", "https://x.example", ["a/b"], ["code"], True, 5) == {
        "provider": "site", "url": "https://x.example", "monitorChanges": True, "pollingEnabled": True,
        "pollingInterval": 5, "resources": ["a/b"], "features": ["code"],
    }  # fmt: skip


def test_token_comes_from_the_environment_or_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "from-env")
    assert read_token("github", False) == "from-env"
    monkeypatch.setattr(sys, "stdin", io.StringIO("from-stdin\n"))
    assert read_token("github", True) == "from-stdin"


def test_missing_token_is_told_with_the_variable_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.setattr(integrations, "sandbox_runs", lambda: False)
    with pytest.raises(Told) as told:
        read_token("github", False)
    assert "GITHUB_TOKEN" in told.value.hint


def test_search_sends_only_filters_that_were_given() -> None:
    assert search_body("x", {"types": ["file"], "path": "", "providers": None}, 3) == {
        "query": "x", "limit": 3, "filters": {"types": ["file"]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (None, "never"),
        ("2026-01-01T00:00:00+00:00", "1 min ago"),
        ("2026-01-01T00:03:30+00:00", "in 2 min"),
        ("2025-12-30T00:00:00+00:00", "2 d ago"),
        ("2026-01-01T00:01:00+00:00", "0 s ago"),
    ],
)
def test_times_are_told_as_distances(moment: str | None, said: str) -> None:
    assert ago(moment, datetime(2026, 1, 1, 0, 1, tzinfo=UTC)) == said


def test_long_texts_are_one_short_line() -> None:
    assert short("a\nb  c") == "a b c"
    assert short("x" * 100, 10) == "x" * 9 + "…"

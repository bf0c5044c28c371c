"""The command line without a stack: exit codes, where words go, and that no token is ever an argument."""

import io
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from libs.cli import connecting, screen
from libs.cli.connecting import connect_body, read_token
from libs.cli.main import main
from libs.cli.screen import ago, short, table
from libs.cli.searching import search_body
from libs.common.http.problems import Problem
from libs.local.client import Gateway, Refused, Told


class Ran:
    """One command in this process: its exit code, and what it wrote where."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch
        monkeypatch.setenv("SLUICE_HOME", str(home / ".sluice"))

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["sluice", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        written = self._capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err


@pytest.fixture
def sluice(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ran:
    return Ran(capsys, monkeypatch, tmp_path)


@pytest.mark.parametrize(
    "command",
    [["search", "relay"], ["status"], ["providers"], ["integrations"], ["sync"], ["runs"], ["sources"],
     ["dead-letters", "list"], ["workspace", "create", "x"], ["connect", "github", "--token-stdin"],
     ["connect", "github", "--oauth"], ["reconnect", "github", "--token-stdin"], ["show", "github"],
     ["configure", "github", "--poll", "5"], ["pause", "github"], ["resume", "github"], ["check", "github"],
     ["disconnect", "github"], ["resources", "list", "github"], ["resources", "select", "github", "a/b"],
     ["resources", "deselect", "github", "a/b"], ["run", "show", "x"], ["run", "follow", "x"], ["run", "cancel", "x"],
     ["source", "x"], ["changed-files", "--path", "x"], ["deliveries", "list", "github"], ["deliveries", "replay", "x"],
     ["subscriptions", "github"], ["webhook-endpoint", "show", "github"], ["webhook-endpoint", "rotate", "github"],
     ["webhook-endpoint", "set-secret", "github"], ["sync", "github", "--full"], ["deletions", "list", "github"],
     ["deletions", "sweeps", "github"], ["deletions", "show", "x"], ["deletions", "apply", "x", "--yes"],
     ["deletions", "reject", "x"], ["deletions", "restore", "x"], ["quarantine", "list", "github"],
     ["quarantine", "retry", "github", "issue:1"], ["captures", "list", "github"], ["captures", "show", "x"]],
)  # fmt: skip
def test_command_without_a_stack_fails_with_the_next_step_on_stderr_alone(
    sluice: Ran, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("ghp_x\n"))
    code, out, err = sluice(*command, "--json")
    assert (code, out) == (1, "")
    assert "make up" in err


def test_misuse_exits_2_and_help_exits_0(sluice: Ran) -> None:
    assert sluice("connect")[0] == 2
    assert sluice("connect", "github", "--token", "ghp_in_argv")[0] == 2
    code, out, _ = sluice("--help")
    assert code == 0
    assert all(name in out for name in ("connect", "sync", "search", "trace", "dead-letters", "workspace"))


def test_refusal_of_a_service_is_one_sentence_and_what_to_do(sluice: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(root: Path) -> None:
        problem = Problem(type="/problems/unknown_workspace", title="Not found", status=404, detail="unknown workspace")
        raise Refused(404, problem)

    monkeypatch.setattr(Gateway, "of", refuse)
    code, out, err = sluice("search", "relay", "-w", "nowhere")
    assert (code, out) == (1, "")
    assert "unknown workspace" in err
    assert "sluice workspace create" in err


def test_refused_field_is_named(sluice: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(root: Path) -> None:
        problem = Problem(type="/problems/invalid_input", title="A field is not valid", status=422,
                          detail="Invalid enum value 'x'", pointer="/type")  # fmt: skip
        raise Refused(422, problem)

    monkeypatch.setattr(Gateway, "of", refuse)
    assert "type: Invalid enum value 'x'" in sluice("sources", "-t", "x")[2]


@pytest.mark.parametrize("width", [10_000, 80])
def test_ids_of_a_wide_table_are_whole_in_a_pipe_and_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(screen.rows_out, "width", width)
    ids = ["01a2146e-aa25-7524-afeb-a382cce3a884", "01a2146d-fc3e-729d-ab52-3e687a96a2d2"]
    table(("run", *map(str, range(9)), "source"), [(ids[0], *["0" * 12] * 9, ids[1])], "")
    written = capsys.readouterr().out
    assert all(one in written for one in ids)


CAPTURED: dict[str, Any] = {
    "id": "01a2146e-aa25-7524-afeb-a382cce3a884", "integrationId": "i", "resourceId": "r", "stream": "issues",
    "code": "provider_contract_broken", "detail": "title is null", "status": 200, "cut": True, "body": None,
    "url": "https://api.github.com/repositories/1/issues", "capturedAt": "2026-11-25T00:00:00Z",
    "expiresAt": "2026-11-28T00:00:00Z",
}  # fmt: skip
BODY = '[{"number": 1, "title": null, "body": "[bold]as it came[/bold]"}]'


class CapturesDoor(Gateway):
    """Answers by path alone."""

    answers: ClassVar[dict[str, Any]] = {
        "/v1/workspaces/default/integrations": {"items": [{"id": "i", "type": "github", "name": "GitHub"}]},
        "/v1/integrations/i/captured-pages": {"items": [CAPTURED]},
        f"/v1/captured-pages/{CAPTURED['id']}": {**CAPTURED, "body": BODY},
    }

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        return dict(self.answers[path])


def test_answer_that_did_not_fit_is_found_in_the_list_and_shown_as_it_came(
    sluice: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gateway, "of", lambda root: CapturesDoor("http://127.0.0.1:1", "key"))
    code, listed, _ = sluice("captures", "list", "github")
    assert code == 0
    assert all(word in listed for word in (CAPTURED["id"], "issues", "provider_contract_broken", "title is null"))
    code, shown, _ = sluice("captures", "show", CAPTURED["id"])
    assert code == 0
    assert all(word in shown for word in (BODY, CAPTURED["url"], "the first MiB of it"))
    assert msgspec.json.decode(sluice("captures", "show", CAPTURED["id"], "--json")[1])["body"] == BODY


def test_empty_list_of_answers_says_how_they_are_kept(sluice: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gateway, "of", lambda root: CapturesDoor("http://127.0.0.1:1", "key"))
    monkeypatch.setitem(CapturesDoor.answers, "/v1/integrations/i/captured-pages", {"items": []})
    assert "SYNC_CAPTURE_PAGES" in sluice("captures", "list", "github")[1]


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
    monkeypatch.setattr(connecting, "sandbox_runs", lambda: False)
    with pytest.raises(Told) as told:
        read_token("github", False)
    assert "GITHUB_TOKEN" in told.value.hint


class Door:
    """A gateway with a catalogue of two and one connected site; keeps what is posted."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, Any]] = []

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None: ...

    def get(self, path: str) -> Any:
        assert path == "/v1/providers"
        ways = {"docusaurus": ["url"], "github": ["oauth", "token"]}
        return {"items": [{"id": id_, "name": id_.title(), "connect": [{"kind": one} for one in kinds]}
                          for id_, kinds in ways.items()]}  # fmt: skip

    def pages(self, path: str) -> list[Any]:
        return [{"id": "i", "type": "docusaurus", "name": "Handbook"}]

    def post(self, path: str, body: Any) -> Any:
        self.posted.append((path, body))
        return {"name": "Handbook", "id": "i", "status": "active", "account": {"name": "docs.example.com"}}


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    made = Door()
    monkeypatch.setattr(Gateway, "of", lambda root: made)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.setattr(connecting, "sandbox_runs", lambda: False)
    return made


def test_site_is_reconnected_without_a_token_that_nobody_has(sluice: Ran, door: Door) -> None:
    assert sluice("reconnect", "docusaurus")[0] == 0
    assert door.posted == [("/v1/integrations/i/reconnect", {})]


def test_site_without_an_address_is_told_how_to_name_it(sluice: Ran, door: Door) -> None:
    code, _, err = sluice("connect", "Docusaurus")
    assert (code, door.posted) == (1, [])
    assert "sluice connect docusaurus --url" in err
    assert "DOCUSAURUS_TOKEN" not in err


def test_unknown_provider_is_refused_with_those_that_there_are_before_a_token_is_asked(sluice: Ran, door: Door) -> None:
    code, _, err = sluice("connect", "githup")
    assert (code, door.posted) == (1, [])
    assert "docusaurus, github" in err


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

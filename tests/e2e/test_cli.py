"""The command line against a running installation, as a person or a script uses it: each group of verbs once."""

import json
import re
import subprocess
import sys
from typing import Any

import httpx
import pytest

from libs.common.testing.eventually import eventually
from libs.local.client import Refused
from libs.local.demo.visitor import Visitor
from tests.e2e.conftest import Line
from tests.e2e.place import WAIT_S, Place, found_place, open_place

TOLD = re.compile(r"const told = (\{.*?\});")
LANDING = "http://localhost:5173"


@pytest.fixture(scope="module")
def place(line: Line) -> Place:
    return open_place(line)


def asked(place: Place, *arguments: str) -> Any:
    return place.line.asked(*arguments, "-w", place.workspace)


def test_connected_looked_at_configured_and_disconnected(line: Line) -> None:
    place = found_place(line)
    made = asked(place, "connect", "github", "-r", place.repository, "-f", "issues")
    assert (made["type"], made["monitorChanges"]) == ("github", False)
    assert [one["id"] for one in asked(place, "integrations")["items"]] == [made["id"]]
    changed = asked(place, "configure", "github", "--name", "Ours", "--monitor", "--poll", "7", "-f", "code")
    assert (changed["name"], changed["monitorChanges"], changed["pollingInterval"]) == ("Ours", True, 7)
    assert changed["features"] == ["code"]
    shown = line.sluice("show", "Ours", "-w", place.workspace).stdout
    assert "every 7 min" in shown
    assert asked(place, "check", "github")["result"] == "passed"
    assert asked(place, "configure", "github", "--no-monitor", "--poll", "0")["pollingEnabled"] is False
    assert asked(place, "pause", "github")["status"] == "inactive"
    refused = line.sluice("sync", "github", "-w", place.workspace)
    assert (refused.returncode, "resume" in refused.stderr) == (1, True)
    assert asked(place, "resume", "github")["status"] == "active"
    assert asked(place, "reconnect", "github")["status"] == "active"
    assert asked(place, "disconnect", "github")["state"] == "disconnected"
    nothing = line.sluice("show", "github", "-w", place.workspace)
    assert (nothing.returncode, "sluice connect github" in nothing.stderr) == (1, True)


def test_refused_grant_is_checked_with_exit_1_and_healed_by_a_new_token(line: Line) -> None:
    token = line.control.ask("POST", "tokens", {})["token"]
    place = open_place(line, features=["issues"], monitor=False, token=token)
    line.control.ask("POST", "expire", {"token": token})
    checked = line.sluice("check", "github", "-w", place.workspace, "--json")
    assert (checked.returncode, json.loads(checked.stdout)["result"]) == (1, "failed")
    assert "sluice reconnect github" in checked.stderr
    assert line.asked("integrations", "-w", place.workspace)["items"][0]["status"] == "error"
    fresh = line.control.ask("POST", "tokens", {})["token"]
    healed = line.sluice("reconnect", "github", "-w", place.workspace, "--json", GITHUB_TOKEN=fresh)
    assert json.loads(healed.stdout)["status"] == "active"


async def test_resources_are_searched_selected_and_deselected(place: Place) -> None:
    other = found_place(place.line)
    offered = asked(place, "resources", "list", "github", "-q", other.workspace)
    assert [(one["name"], one["selected"]) for one in offered["items"]] == [(other.repository, False)]
    chosen = asked(place, "resources", "select", "github", other.repository)
    assert {one["name"] for one in chosen["selected"]} == {place.repository, other.repository}
    await eventually(lambda: len(other.hooks()) == 1, timeout=WAIT_S)
    left = asked(place, "resources", "deselect", "github", other.repository)
    assert [one["name"] for one in left["selected"]] == [place.repository]
    again = place.line.sluice("resources", "deselect", "github", other.repository, "-w", place.workspace)
    assert (again.returncode, place.repository in again.stderr) == (1, True)
    assert [one["name"] for one in asked(place, "resources", "list", "github", "--selected")["selected"]] == [
        place.repository
    ]


def test_sync_is_waited_for_listed_shown_and_followed(place: Place) -> None:
    (run,) = asked(place, "sync", "github", "--wait")["items"]
    assert run["state"] == "succeeded"
    assert asked(place, "runs", "github", "-n", "1")["items"][0]["id"] == run["id"]
    assert place.line.asked("run", "show", run["id"])["resources"][0]["name"] == place.repository
    assert place.line.asked("run", "follow", run["id"])["state"] == "succeeded"
    drawn = place.line.sluice("run", "show", run["id"]).stdout
    assert place.repository in drawn
    fresh = asked(place, "freshness", "github")
    assert (fresh["freshness"]["lateResources"], fresh["resources"][0]["name"]) == (0, place.repository)
    assert fresh["resources"][0]["freshness"]["freshAsOf"] is not None
    assert place.repository in place.line.sluice("freshness", "github", "-w", place.workspace).stdout
    late = place.line.sluice("run", "cancel", run["id"])
    assert (late.returncode, "succeeded already" in late.stderr) == (1, True)


async def test_run_is_cancelled_from_the_command_line(line: Line) -> None:
    place = found_place(line)
    match = f"/repositories/{place.repository_id}"
    line.control.ask("POST", "faults", {"match": match, "kind": "hang", "times": 0})
    try:
        asked(place, "connect", "github", "-r", place.repository, "-f", "code")
        runs: list[dict[str, Any]] = []

        def begun() -> bool:
            try:
                runs[:] = asked(place, "runs", "github")["items"]
            except (AssertionError, Refused):  # sync has not heard of it yet
                return False
            return bool(runs)

        await eventually(begun, timeout=WAIT_S)
        assert line.asked("run", "cancel", runs[0]["id"])["state"] == "cancelled"
    finally:
        line.control.ask("DELETE", "faults")
    failed = line.sluice("run", "follow", runs[0]["id"])
    assert (failed.returncode, "cancelled" in failed.stderr) == (1, True)


async def test_sources_and_changed_files_are_read(place: Place) -> None:
    number = place.change("open_pull", title="Read me", files={"read/me.md": "# Read me\n"})["number"]
    await eventually(lambda: place.source(f"pull_request:{number}")["status"] == "ready", timeout=WAIT_S)
    pulls = asked(place, "sources", "-t", "pull_request", "-i", "github")["items"]
    one = place.line.asked("source", pulls[-1]["id"])
    assert one["name"] == "Read me"
    changes = place.line.asked("changed-files", "--source", one["id"])["items"]
    assert [(change["path"], change["status"]) for change in changes] == [("read/me.md", "added")]
    by_path = asked(place, "changed-files", "--path", "read/me.md")["items"]
    assert one["id"] in [change["sourceId"] for change in by_path]
    assert "Read me" in place.line.sluice("source", one["id"]).stdout
    assert place.line.sluice("changed-files").returncode == 1


async def test_deliveries_hooks_and_the_endpoint_are_operated(place: Place) -> None:
    await place.hooked()
    word = place.line.word()
    place.change("open_issue", title=word)
    await eventually(lambda: word in place.texts(word), timeout=WAIT_S)
    newest = asked(place, "deliveries", "list", "github")["items"][0]
    assert (newest["event"], newest["outcome"]) == ("issues", "handled")
    assert place.line.asked("deliveries", "replay", newest["id"])["replayed"] == 1
    (hook,) = [one for one in asked(place, "subscriptions", "github")["items"] if one["wanted"]]
    assert (hook["name"], hook["state"]) == (place.repository, "active")
    assert hook["lastDeliveryAt"] is not None
    endpoint = asked(place, "webhook-endpoint", "show", "github")
    assert place.hooks() == [endpoint["url"]]
    rotated = asked(place, "webhook-endpoint", "rotate", "github")["secret"]
    assert rotated
    assert asked(place, "webhook-endpoint", "show", "github")["secret"] is None


class Consenting:
    """`sluice connect --oauth` as it waits, and the browser that a person would open the printed address in."""

    def __init__(self, place: Place, *arguments: str) -> None:
        command = [sys.executable, "-m", "libs.cli", "connect", "github", "--oauth", "-w", place.workspace, "--json"]
        self.process = subprocess.Popen(
            [*command, *arguments], cwd=place.line.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        assert "Open this address" in self.process.stderr.readline()
        self.address = self.process.stderr.readline().strip()

    def consents(self, decision: str) -> None:
        with Visitor() as visitor:
            ended = visitor.consent(self.address, decision=decision)
        told = TOLD.search(ended.text)
        assert told, ended.text
        self._bring(json.loads(told[1])["back"])

    def _bring(self, back: str) -> None:
        """What the scripts of both pages do in a browser: the fragment never leaves it but by this post."""
        assert "location.hash" in httpx.get(back).text
        brought = dict(httpx.QueryParams(httpx.URL(back).fragment))
        answer = httpx.post(f"{LANDING}/brought", json=brought, headers={"origin": LANDING})
        assert answer.status_code == 200

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


def test_consent_in_the_browser_connects_from_the_command_line(line: Line) -> None:
    place = found_place(line)
    waiting = Consenting(place, "-r", place.repository, "-f", "issues")
    foreign = httpx.post(f"{LANDING}/brought", json={"handle": "x"}, headers={"origin": "http://localhost:6666"})
    assert foreign.status_code == 403
    waiting.consents("authorize")
    code, out, err = waiting.ended()
    assert code == 0, err
    made = json.loads(out)
    assert asked(place, "integrations")["items"][0]["id"] == made["id"]
    assert made["features"] == ["issues"]


def test_refused_consent_is_told_and_connects_nothing(line: Line) -> None:
    place = found_place(line)
    waiting = Consenting(place)
    waiting.consents("cancel")
    code, out, err = waiting.ended()
    assert (code, out) == (1, "")
    assert "not given" in err
    assert asked(place, "integrations")["items"] == []


async def test_explain_walks_from_the_provider_to_the_search_and_says_where_it_ends(line: Line) -> None:
    """Ready, of a feature that is off, quarantined, deleted: each by what the four services know of it."""
    place = open_place(line, features=["issues"], files={"docs/a.md": "# A\n"})
    await place.hooked()
    word = line.word()
    number = place.change("open_issue", title=word)["number"]
    await eventually(lambda: place.source(f"issue:{number}")["status"] == "ready", timeout=WAIT_S)
    here = explained(place, f"issue:{number}")
    assert (here["reason"], here["present"], here["searchable"]) == ("ready", True, True)
    assert [step["code"] for step in here["steps"] if step["step"] != "look"] == [
        "active", "connected", "selected", "feature_on", "hook_active", "heard", "read", "ready", "published",
        "indexed", "searchable",
    ]  # fmt: skip
    assert list(dict.fromkeys(step["service"] for step in here["steps"])) == ["auth", "sync", "webhooks", "chunker"]
    assert explained(place, here["sourceId"])["reason"] == "ready"
    assert explained(place, "file:docs/a.md")["reason"] == "feature_off"

    line.control.ask("POST", "faults", {"match": f"/issues/{number + 1}$", "kind": "status", "status": 200, "times": 0})
    try:
        place.change("open_issue", title="It does not fit")
        await eventually(lambda: explained(place, f"issue:{number + 1}")["reason"] == "quarantined", timeout=WAIT_S)
    finally:
        line.control.ask("DELETE", "faults")
    place.change("delete_issue", number=number)
    await eventually(lambda: explained(place, here["sourceId"])["steps"][-2]["code"] == "removed", timeout=WAIT_S)
    gone = explained(place, here["sourceId"])
    assert (gone["reason"], gone["present"], gone["searchable"]) == ("deleted", False, False)
    drawn = line.sluice("explain", here["sourceId"], "-w", place.workspace).stdout
    assert "not here (deleted), not found by search" in drawn


def explained(place: Place, what: str) -> dict[str, Any]:
    (found,) = asked(place, "explain", what)["items"]
    return dict(found)


async def test_changes_are_read_filtered_and_resumed_from_the_command_line(place: Place) -> None:
    now = asked(place, "changes", "--cursor", "latest")
    word = place.line.word()
    place.change("open_issue", title=word)
    await eventually(lambda: word in place.texts(word), timeout=WAIT_S)
    (told,) = asked(place, "changes", "--cursor", now["nextCursor"], "-t", "issue", "-i", "github")["items"]
    assert (told["event"]["change"], told["event"]["cause"]) == ("created", "webhook")
    whole = asked(place, "changes", "--compact", "-n", "1000")
    assert told["event"]["source_id"] in {one["event"]["source_id"] for one in whole["items"]}
    assert place.line.sluice("changes", "--cursor", "nonsense", "-w", place.workspace).returncode == 1

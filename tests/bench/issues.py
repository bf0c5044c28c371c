"""10,000 issues from the played GitHub into Postgres, beside raw paging of the same server in the same run.

Raw paging reads and decodes every page and keeps nothing: the limit of the server and of one client.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx
import msgspec

from libs.common.clock import SystemClock
from libs.local.client import Control, Gateway, Json
from libs.local.demo.connecting import first_run
from libs.local.demo.following import wait_for
from libs.local.endpoints import Endpoints
from libs.local.up import down, up
from tests.support.checkout import copy_working_files

ISSUES = 10_000
REPOSITORY = "sandbox/large"
TOKEN = "ghp_sandbox"
ROUNDS = 3
NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')


def main(issues: int = ISSUES) -> None:
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as place:
        root = Path(place)
        copy_working_files(root)
        try:
            endpoints = up(root, sandbox=True)
            with Gateway.of(root) as door:
                measure(endpoints, door, issues)
        finally:
            down(root)


def measure(endpoints: Endpoints, door: Gateway, issues: int) -> None:
    assert endpoints.sandbox is not None
    control = Control(endpoints.sandbox)
    control.ask("POST", "settings", {"rateLimit": 10_000_000})
    control.ask("POST", "seed", {"issues": issues, "comments": 0, "repository": REPOSITORY})
    api = f"{endpoints.sandbox}/github/api"
    raw: list[float] = []
    synced: list[float] = []
    for number in range(ROUNDS):
        raw.append(issues / seconds_of_raw_paging(api, issues))
        synced.append(issues / seconds_of_sync(door, f"bench{number}", issues))
    anchor, reached = median(raw), median(synced)
    print(f"figure sync_raw_paging value={anchor:.0f} unit=items/s against=raw_paging ratio=1.00")
    print(f"figure sync_10k_issues value={reached:.0f} unit=items/s against=raw_paging ratio={reached / anchor:.3f}")


def seconds_of_raw_paging(api: str, issues: int) -> float:
    url: str | None = f"{api}/repos/{REPOSITORY}/issues?state=all&sort=updated&direction=asc&per_page=100"
    seen = 0
    began = time.perf_counter()
    with httpx.Client(headers={"authorization": f"Bearer {TOKEN}"}, follow_redirects=True) as client:
        while url:
            answer = client.get(url)
            seen += len(msgspec.json.decode(answer.content, type=list[dict[str, object]]))
            following = NEXT.search(answer.headers.get("link", ""))
            url = following.group(1) if following else None
    assert seen == issues, seen
    return time.perf_counter() - began


def seconds_of_sync(door: Gateway, workspace: str, issues: int) -> float:
    """From the connect call to the run's end: discovery, token, pages, apply, outbox rows."""
    door.put(f"/v1/workspaces/{workspace}")
    began = time.perf_counter()
    body: Json = {"provider": "github", "token": TOKEN, "features": ["issues"], "resources": [REPOSITORY]}
    made = door.post(f"/v1/workspaces/{workspace}/integrations", body)
    run = wait_for(door, str(first_run(door, made["id"])["id"]), 600.0)
    seconds = time.perf_counter() - began
    assert run["state"] == "succeeded", run
    assert run["counts"]["created"] == issues, run["counts"]
    return seconds


if __name__ == "__main__":
    print(f"bench of {ISSUES} issues, {SystemClock().now():%Y-%m-%d}")
    main()

"""A workspace of its own with a small repository of its own, so that a test may do to both whatever it likes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.testing.eventually import eventually
from libs.local.demo.connecting import first_run
from libs.local.demo.counting import wait_until_indexed
from libs.local.demo.following import wait_for
from tests.e2e.conftest import Line

WAIT_S = 40.0
AIM_S = 3.0  # from a provider's change to the changed search result, on the embedded stack
ALL = ("issues", "prs", "repositories", "code")
FILES = {"README.md": "# A small place\n\nNothing much.\n", "src/one.py": "ONE = 1\n", "src/two.py": "TWO = 2\n"}


@dataclass
class Place:
    line: Line
    workspace: str
    repository: str
    repository_id: int
    integration: str = ""

    @property
    def root(self) -> str:
        return f"/v1/integrations/{self.integration}"

    # --- at the provider

    def change(self, op: str, **what: Any) -> dict[str, Any]:
        return self.line.control.change(op, repository=self.repository, **what)

    def truth(self) -> dict[str, Any]:
        return self.line.control.truth(self.repository)

    def hooks(self) -> list[str]:
        return [hook["url"] for hook in self.truth()["hooks"] if hook["active"]]

    def asked_since(self, since: int) -> list[str]:
        """`METHOD path` of every request about this repository."""
        marks = (f"/repositories/{self.repository_id}", f"/repos/{self.repository}")
        items = self.line.control.requests(since)["items"]
        return [f"{one['method']} {one['path']}" for one in items if any(mark in one["path"] for mark in marks)]

    # --- in Sluice

    def view(self) -> dict[str, Any]:
        return self.line.door.get(self.root)

    def configure(self, **settings: Any) -> dict[str, Any]:
        return self.line.door.patch(self.root, settings)

    def search(self, query: str, **filters: Any) -> list[dict[str, Any]]:
        body = {"query": query, "limit": 10, "filters": filters}
        return list(self.line.door.post(f"/v1/workspaces/{self.workspace}/search", body)["items"])

    def texts(self, word: str) -> str:
        return "\n".join(hit["chunk"]["text"] for hit in self.search(word))

    def sources(self, **asked: Any) -> list[dict[str, Any]]:
        return list(self.line.door.pages(f"/v1/workspaces/{self.workspace}/sources", {"limit": 500, **asked}))

    def source(self, external_id: str) -> dict[str, Any]:
        """With its content; of a deleted one nothing but an assertion."""
        found = [one for one in self.sources() if one["externalId"] == external_id]
        assert found, f"no source {external_id}"
        return self.line.door.get(f"/v1/sources/{found[0]['id']}")

    def sync(self) -> dict[str, Any]:
        run = self.line.door.post(f"{self.root}/sync")
        return wait_for(self.line.door, run["id"], 60.0)

    async def hooked(self) -> None:
        await eventually(lambda: self.view()["webhook"]["state"] == "active" and len(self.hooks()) == 1, timeout=WAIT_S)

    async def unhooked(self) -> None:
        await eventually(lambda: not self.hooks(), timeout=WAIT_S)

    async def measured(self, kind: str, question: Callable[[], object], began: float) -> None:
        """Waits until the answer is yes, and prints how long that took since `began`."""
        await eventually(question, timeout=WAIT_S)
        seconds = time.monotonic() - began
        print(f"figure change_to_search_{kind} value={seconds:.2f} unit=s against={AIM_S:g}")


def found_place(line: Line, *, files: dict[str, str] | None = None) -> Place:
    """A repository and an empty workspace; nothing is connected yet."""
    name = line.word()
    repository = f"sandbox/{name}"
    made = line.control.change("create_repository", fullName=repository, files=FILES if files is None else files)
    line.door.put(f"/v1/workspaces/{name}")
    return Place(line, name, repository, made["id"])


def connect(place: Place, *, features: Sequence[str] = ALL, monitor: bool = True, **more: Any) -> dict[str, Any]:
    """Answers the first run, which has begun."""
    body = {
        "provider": "github", "token": "ghp_sandbox", "features": list(features), "resources": [place.repository],
        "monitorChanges": monitor, "pollingEnabled": False, **more,
    }  # fmt: skip
    made = place.line.door.post(f"/v1/workspaces/{place.workspace}/integrations", body)
    place.integration = made["id"]
    return first_run(place.line.door, place.integration)


def ended(place: Place, run: dict[str, Any]) -> dict[str, Any]:
    """The run as it ended, with everything of it indexed."""
    found = wait_for(place.line.door, run["id"], 60.0)
    wait_until_indexed(place.line.door, place.workspace, 60.0)
    return found


def open_place(line: Line, *, files: dict[str, str] | None = None, **how: Any) -> Place:
    """Connected, synced and indexed."""
    place = found_place(line, files=files)
    ended(place, connect(place, **how))
    return place

"""The sync engine over the played GitHub, and git itself as the judge of what it should hold."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from libs.common.provider.http import GrantedHttp
from libs.common.provider.manifest import Manifest
from libs.common.provider.sync import SyncFacet
from libs.providers import registry
from libs.providers.github.tests.played import HOST, TOKEN, Wire
from services.sync.settings import SyncSettings
from tests.integration.sync.double import World
from tests.integration.sync.engine import Broker, Engine

REPOSITORY = "sandbox/walk"
STATUS = {"A": "added", "M": "modified", "D": "removed", "T": "changed"}
ZERO = "0" * 40
NO_FILES = ("120000", "160000")  # links and submodules: told in the rows, never kept as files


class Row(NamedTuple):
    """A changed file, as git or as Sluice tells it."""

    status: str
    previous_path: str | None
    path: str
    previous_blob: str | None
    blob: str | None


class Raw(NamedTuple):
    """One line of `git diff --raw`."""

    old_mode: str
    mode: str
    old_blob: str | None
    blob: str | None
    status: str
    path: str


class Hub(Engine):
    provider = "github"

    def __init__(
        self,
        settings: SyncSettings,
        wire: Wire,
        state: Path,
        admin: asyncpg.Connection[asyncpg.Record],
    ) -> None:
        self.wire, self.state = wire, state
        broker = Broker()
        broker.token = TOKEN
        super().__init__(settings, World(), broker, admin)

    def facet(self) -> tuple[SyncFacet, Manifest]:
        return registry.facet("github", "sync"), registry.manifest("github")

    def open_http(self, provider: str, token: str, validators: dict[str, str]) -> GrantedHttp:
        urls = {"api_url": f"{HOST}/github/api", "base_url": f"{HOST}/github"}
        return GrantedHttp(self.wire, **urls, token=token, validators=validators)

    # The played GitHub

    async def control(self, route: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        answer = await self.wire.client.request(method, f"/_control/github/{route}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def change(self, op: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self.control("change", {"op": op, "repository": REPOSITORY, **more})
        return found

    async def begin(self, files: dict[str, Any]) -> None:
        made = await self.control("change", {"op": "create_repository", "fullName": REPOSITORY, "files": files})
        self.number = str(made["id"])
        await self.sync(REPOSITORY, features=("repositories", "code"))

    async def pushed(self, **push: Any) -> tuple[str, str, int]:
        """One push, its hint, and the work of it. Answers before, after and the requests that it cost."""
        told = await self.change("push", **push)
        asked = len(self.wire.asked)
        await self.hint(self.number, "code")
        await self.work()
        return told["before"], told["after"], len(self.wire.asked) - asked

    # What git says

    def git(self, *words: str) -> str:
        place = ["git", "-C", str(self.state / "github" / "git" / f"{self.number}.git")]
        return subprocess.run([*place, *words], check=True, capture_output=True, text=True).stdout

    def ls_tree(self, commit: str = "main") -> dict[str, tuple[str, str]]:
        """path → (mode, id), everything but folders."""
        lines = self.git("ls-tree", "-r", "-z", commit).split("\0")[:-1]
        parted = (line.split("\t", 1) for line in lines)
        return {path: (words.split()[0], words.split()[2]) for words, path in parted}

    def raw(self, before: str, after: str) -> list[Raw]:
        fields = self.git("diff", "--raw", "--no-renames", "--abbrev=40", "-z", before, after).split("\0")[:-1]
        rows = []
        for words, path in zip(fields[::2], fields[1::2], strict=True):
            old_mode, mode, old, new, status = words.removeprefix(":").split()
            rows.append(Raw(old_mode, mode, _id(old), _id(new), status, path))
        return rows

    def exact_renames(self, before: str, after: str) -> set[tuple[str, str]]:
        """Git's own pairs of equal blobs: among several it chooses."""
        fields = iter(self.git("diff", "--raw", "-M100%", "--abbrev=40", "-z", before, after).split("\0")[:-1])
        return {(next(fields), next(fields)) for words in fields if words.split()[-1] == "R100" or not next(fields)}

    # What Sluice says

    async def held(self) -> dict[str, str]:
        rows = await self.admin.fetch("SELECT path, revision FROM source WHERE type = 'file' AND NOT tombstone")
        return {row["path"]: row["revision"] for row in rows}

    async def rows(self, after: str) -> list[Row]:
        """Of the newest push to this commit."""
        rows = await self.admin.fetch(
            "SELECT status, previous_path, path, previous_blob_id, blob_id FROM changed_file WHERE push_id ="
            " (SELECT id FROM push WHERE after = $1 ORDER BY id DESC LIMIT 1) ORDER BY position",
            after,
        )
        return [Row(*row) for row in rows]


def _id(sha: str) -> str | None:
    return None if sha == ZERO else sha


def joined(raw: list[Raw]) -> list[Row]:
    """Where one blob left exactly one path and came to exactly one other, it moved; in order of path."""
    gone = [row for row in raw if row.status == "D"]
    came = [row for row in raw if row.status == "A"]
    pairs = {
        new.path: old
        for old in gone
        for new in came
        if old.old_blob == new.blob
        and sum(other.old_blob == old.old_blob for other in gone) == 1
        and sum(other.blob == new.blob for other in came) == 1
    }
    sources = {old.path for old in pairs.values()}
    rows = []
    for row in raw:
        if row.status == "D" and row.path in sources:
            continue
        old = pairs.get(row.path) if row.status == "A" else None
        if old is not None:
            rows.append(Row("renamed", old.path, row.path, old.old_blob, row.blob))
        else:
            rows.append(Row(STATUS[row.status], None, row.path, row.old_blob, row.blob))
    return sorted(rows, key=lambda row: row.path)

"""The provider's truth beside our copy of it: what is missing, too much, there twice, different or not searchable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from libs.local.client import Json
from libs.local.state import SERVICES
from tests.chaos.stack import Stack

Place = tuple[str, str]

RESOURCES = "SELECT id, external_id FROM sync.resource WHERE integration_id = $1 AND selected"
# Live in the copy and not searchable in exactly this version, or searchable and not live.
ASTRAY = """
SELECT coalesce(s.id, i.id) AS id
FROM (SELECT id, version FROM sync.source WHERE integration_id = $1 AND NOT tombstone) s
FULL JOIN (SELECT id, version FROM chunker.indexed_source WHERE integration_id = $1) i USING (id)
WHERE s.version IS DISTINCT FROM i.version
"""
# A killed part is no fault of a message: none may be parked for it.
PARKED = " UNION ALL ".join(f"SELECT topic, error FROM {service}.dead_letter" for service in SERVICES)


class Verdict(msgspec.Struct, kw_only=True):
    """`expected` is how many objects the provider has; every list names what is wrong."""

    expected: int
    missing: list[Place]
    extra: list[Place]
    twice: list[Place]
    different: list[Place]
    unready: list[Place]
    astray: list[str]
    parked: list[Place]

    @property
    def wrong(self) -> int:
        return sum(
            map(len, (self.missing, self.extra, self.twice, self.different, self.unready, self.astray, self.parked))
        )

    @property
    def wrong_in_the_copy(self) -> int:
        """Whatever of it the chunker has yet to cut."""
        return sum(map(len, (self.missing, self.extra, self.twice, self.different, self.parked)))

    def __str__(self) -> str:
        lists = {name: getattr(self, name) for name in self.__struct_fields__ if name != "expected"}
        said = [f"{len(found)} {name} ({found[:5]})" for name, found in lists.items() if found]
        return f"of {self.expected}: {'; '.join(said) or 'all as the provider has it'}"


async def judge(stack: Stack, workspace: str, integration: str, repositories: Sequence[str]) -> Verdict:
    truth = dict(entry for name in repositories for entry in _expected(stack, name))
    external = {row["id"]: row["external_id"] for row in await stack.rows(RESOURCES, integration)}
    held = list(stack.door.pages(f"/v1/workspaces/{workspace}/sources", {"limit": 500}))
    seen = Counter((external[one["resourceId"]], one["externalId"]) for one in held)
    names = {(external[one["resourceId"]], one["externalId"]): one["name"] for one in held}
    return Verdict(
        expected=len(truth),
        missing=sorted(truth.keys() - seen.keys()),
        extra=sorted(seen.keys() - truth.keys()),
        twice=sorted(place for place, count in seen.items() if count > 1),
        different=sorted(place for place in truth.keys() & seen.keys() if truth[place] != names[place]),
        unready=sorted((one["status"], one["externalId"]) for one in held if one["status"] != "ready"),
        astray=[row["id"] for row in await stack.rows(ASTRAY, integration)],
        parked=[(row["topic"], row["error"]) for row in await stack.rows(PARKED)],
    )


def _expected(stack: Stack, name: str) -> Iterator[tuple[Place, str]]:
    """(resource, key) → name, as a copy has to have them."""
    repository: Json = stack.control.truth(name)
    at = str(repository["id"])
    yield (at, "repository"), repository["fullName"]
    for issue in repository["issues"]:
        yield (at, f"issue:{issue['number']}"), issue["title"]
    for pull in repository["pulls"]:
        yield (at, f"pull_request:{pull['number']}"), pull["title"]
    for file in repository["files"]:
        yield (at, f"file:{file['path']}"), file["path"].rpartition("/")[2]

"""Where a source stands between its last event and a search, told step by step."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.errors import NotFound
from libs.common.http.explained import Step
from libs.common.ids import new_id
from libs.common.internal import SourceItem
from services.chunker.use_cases import reading
from services.chunker.workers import indexing as workers
from tests.integration.chunker.conftest import Rig

GUIDE = "# Guide\n\nHow the relay publishes.\n\n## Retry\n\nA failing handler is called again.\n"


async def explain(rig: Rig, source: str) -> list[Step]:
    return await reading.explain_source(rig.db, "w1", source)


def codes(steps: list[Step]) -> list[str]:
    return [step.code for step in steps]


async def test_way_of_a_source_into_the_index_and_out_of_it(rig: Rig) -> None:
    source = await rig.put(GUIDE)
    wanted, *rest = await explain(rig, source)
    assert (wanted.code, wanted.facts["version"], wanted.facts["attempts"]) == ("index_wanted", 1, 0)
    assert codes(rest) == ["not_searchable"]

    await rig.index()
    indexed, search = await explain(rig, source)
    async with rig.db.transaction("w1") as tx:
        chunks = await tx.fetch_value("SELECT count(*) FROM chunk")
    assert (indexed.code, indexed.facts["version"], indexed.facts["chunks"]) == ("indexed", 1, chunks)
    assert (search.code, search.at) == ("searchable", indexed.at)

    rig.owner.held[source] = SourceItem(id=source, state="tombstone", version=5)
    await rig.tell(source, 5, "deleted")
    assert codes(await explain(rig, source)) == ["removal_wanted", "indexed", "searchable"]
    await rig.index()
    removed, search = await explain(rig, source)
    assert (removed.code, removed.facts["version"], search.code) == ("removed", 5, "not_searchable")
    assert removed.at is not None


async def test_text_that_could_not_be_cut_is_told_and_the_version_before_it_is_still_found(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await rig.put(GUIDE)
    await rig.index()

    def fail(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(workers, "cut", fail)
    await rig.put(GUIDE, source_id=source, version=2)
    await rig.index()
    failed, indexed, search = await explain(rig, source)
    assert (failed.code, failed.outcome, failed.facts["version"]) == ("index_failed", "stopped", 2)
    assert failed.detail.startswith("cut_failed: ValueError")
    assert (indexed.facts["version"], search.code) == (1, "searchable")


async def test_postponed_source_shows_its_tries_and_an_empty_one_why_nothing_finds_it(rig: Rig) -> None:
    rig.owner.away = True
    source = await rig.put("", path="empty.md")
    await rig.index()
    (waiting, _) = await explain(rig, source)
    assert waiting.facts["attempts"] == 1
    assert "tried again" in waiting.detail
    rig.owner.away = False
    async with rig.db.queue() as tx:
        await tx.execute("UPDATE index_wanted SET due_at = now()")
    await rig.index()
    skipped, search = await explain(rig, source)
    assert (skipped.code, skipped.detail) == ("skipped", "it has no text to find: empty")
    assert search.code == "not_searchable"


async def test_source_that_was_never_heard_of_is_told_and_a_foreign_workspace_is_absent(rig: Rig) -> None:
    source = await rig.put(GUIDE)
    await rig.index()
    assert codes(await explain(rig, new_id())) == ["never_heard", "not_searchable"]
    with pytest.raises(NotFound):
        await reading.explain_source(rig.db, "w-unknown", source)

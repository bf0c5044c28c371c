"""From a change at the provider to the answer of a search, through every process of the stack."""

import time
from collections import Counter

from libs.common.testing.eventually import eventually
from libs.local.demo import searches
from libs.local.demo.changing import sync_unchanged
from tests.e2e.conftest import Line

LIMIT_S = 3.0  # from a provider's change to the changed search result, on the embedded stack


def test_connected_repository_answers_for_code_issue_and_pull_request(line: Line) -> None:
    questions = searches.expected_questions(line.root)
    assert [question.type for question in questions] == ["file", "issue", "pull_request"]
    for question in questions:
        assert searches.ask(line.door, "default", question).hits


async def test_everything_at_the_provider_is_a_searchable_source(line: Line) -> None:
    def same() -> None:
        truth = line.control.truth()["counts"]
        sources = list(line.door.pages("/v1/workspaces/default/sources", {"limit": 500}))
        counted = Counter(source["type"] for source in sources)
        assert counted["issue"] == truth["issues"]
        assert counted["pull_request"] == truth["pulls"]
        assert counted["repository"] == 1
        assert len({source["externalId"] for source in sources}) == len(sources)
        assert {source["status"] for source in sources} == {"ready"}

    assert line.run["state"] == "succeeded"
    await eventually(same, timeout=20)


def test_unchanged_repository_is_synced_without_an_event_and_without_a_chunk(hooked: Line) -> None:
    quiet = sync_unchanged(hooked.door, hooked.control, hooked.endpoints.kafka, "default", hooked.integration)
    assert (quiet.events, quiet.chunked) == (0, 0)
    assert 0 < quiet.not_modified == quiet.requests


async def test_pushed_commit_is_found_by_hook_in_time_after_syncs_that_found_nothing(hooked: Line) -> None:
    hooked.sync()
    hooked.sync()
    word, began = hooked.word(), time.monotonic()
    hooked.control.change("push", files={"docs/hooked.md": f"# Hooked\n\nSee {word}.\n"})
    hit = await hooked.found(word)
    seconds = time.monotonic() - began
    print(f"figure change_to_search_hook value={seconds:.2f} unit=s against={LIMIT_S:g}")
    assert hit["source"]["path"] == "docs/hooked.md"
    assert seconds <= LIMIT_S


async def test_edited_issue_is_found_by_a_sync_when_hooks_are_lost(hooked: Line) -> None:
    word, began = hooked.word(), time.monotonic()
    hooked.control.ask("POST", "settings", {"deliverHooks": False})
    try:
        hooked.control.change("comment", number=1, body=f"Reads well, {word}.")
        hooked.door.post(f"/v1/integrations/{hooked.integration}/sync")
        hit = await hooked.found(word)
    finally:
        hooked.control.ask("POST", "settings", {"deliverHooks": True})
    seconds = time.monotonic() - began
    print(f"figure change_to_search_sync value={seconds:.2f} unit=s against={LIMIT_S:g}")
    assert hit["source"]["type"] == "issue"
    assert seconds <= LIMIT_S


async def test_issue_deleted_at_the_provider_leaves_the_search(hooked: Line) -> None:
    word = hooked.word()
    number = hooked.control.change("open_issue", title=f"Deleted soon {word}", body="Nothing to see.")["number"]
    await hooked.found(word)
    hooked.control.change("delete_issue", number=number)
    await hooked.gone(word)


async def test_renamed_file_is_found_under_its_new_path_alone(hooked: Line) -> None:
    word = hooked.word()
    hooked.control.change("push", files={f"docs/{word}-old.md": f"# Moved\n\n{word} stands here.\n"})
    before = await hooked.found(word)
    hooked.control.change("push", rename={f"docs/{word}-old.md": f"docs/{word}-new.md"})

    def moved() -> None:
        assert hooked.names(f"{word} stands here", path=f"docs/{word}") == [f"docs/{word}-new.md"]

    await eventually(moved, timeout=30)
    assert hooked.search(word)[0]["source"]["id"] == before["source"]["id"]


async def test_trace_of_a_delivery_shows_webhooks_sync_and_chunker(hooked: Line) -> None:
    word = hooked.word()
    hooked.control.change("open_issue", title=f"Traced {word}", body="A delivery to follow.")
    await hooked.found(word)
    delivery = hooked.door.get(f"/v1/integrations/{hooked.integration}/deliveries")["items"][0]

    def shown() -> None:
        trace = hooked.asked("trace", delivery["id"])
        assert trace["traceId"] == delivery["traceId"]
        assert {"webhooks", "sync", "chunker"} <= set(trace["services"])
        assert {span["service"] for span in trace["spans"]} == set(trace["services"])

    await eventually(shown, timeout=30)
    assert "chunker" in hooked.sluice("trace", delivery["deliveryKey"]).stdout

"""Template's facets against recorded answers: what is read, resumed, set aside and proved."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common.clock import SystemClock
from libs.common.errors import (
    AuthRevoked,
    LostSight,
    ProviderContractBroken,
    ProviderUnavailable,
    RateLimited,
    SluiceError,
)
from libs.common.http.wire import InvalidCursor
from libs.common.provider.client import Budget, HttpAnswer
from libs.common.provider.manifest import read_manifest
from libs.common.provider.sync import Gone, Listed, Observed, Page, Quarantined, Resource, SyncContext
from libs.common.testing import conformance
from libs.providers._template import auth, chunks, sync

FOLDER = Path(__file__).resolve().parents[1]
HANDBOOK = Resource(kind="collection", external_id="c-1", name="Handbook", url="")


def recorded(name: str) -> bytes:
    return (FOLDER / "fixtures" / "api" / f"{name}.json").read_bytes()


class Recorded:
    """A grant whose provider answers from a table; what is not in it is 404. `known` validators are answered 304."""

    api_url = base_url = "https://template.invalid"

    def __init__(self, known: bool = False) -> None:
        self.known = known
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, bytes]] = {
            "/me": (200, recorded("me__token")),
            "/collections": (200, b'{"items": [' + recorded("collection__handbook") + b"]}"),
            "/collections/c-1": (200, recorded("collection__handbook")),
            "/collections/c-1/documents": (200, recorded("documents__page_1")),
            "/collections/c-1/documents?d-2": (200, recorded("documents__page_2")),
        }

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        conditional: str = "",
        authorized: bool = True,
    ) -> HttpAnswer:
        asked = f"{url}?{params['after']}" if params else url
        self.asked.append(asked)
        status, content = (304, b"") if conditional and self.known else self.answers.get(asked, (404, b"{}"))
        return HttpAnswer(status=status, headers={"retry-after": "7"}, body=content, url=url)

    def note_budget(self, budget: Budget) -> None:
        raise AssertionError("these answers tell no budget")

    def note_limit(self, until: datetime) -> None:
        """Nobody else calls with this account."""


def context(http: Recorded, *, full: bool = False) -> SyncContext:
    return SyncContext(http=http, clock=SystemClock(), config={}, features=("documents",), resource=HANDBOOK, full=full)


async def pulled(http: Recorded, cursor: dict[str, Any] | None = None, *, full: bool = False) -> list[Page]:
    return [page async for page in sync.FACET.pull(context(http, full=full), "documents", cursor)]


async def test_whole_collection_is_listed_with_a_certificate_and_the_odd_one_set_aside() -> None:
    first, last = await pulled(Recorded())
    assert [type(item) for item in first.items] == [Observed, Quarantined]
    assert [item.key for page in (first, last) for item in page.items] == [
        "document:d-1",
        "document:d-2",
        "document:d-3",
    ]
    assert first.certificate is None
    assert last.certificate is not None
    assert (last.certificate.pages, last.certificate.items, last.certificate.errors) == (2, 3, 1)
    assert not last.certificate.complete  # one document was not read: nothing may be deleted for lack of it
    assert last.cursor == {"revision": "r-7"}


async def test_listing_goes_on_at_the_page_after_the_last_saved_one() -> None:
    first, last = await pulled(Recorded())
    http = Recorded()
    (resumed,) = await pulled(http, json.loads(json.dumps(first.cursor)))
    assert resumed == last
    assert http.asked == ["/collections/c-1/documents?d-2"]


@pytest.mark.parametrize("http", [Recorded(known=True), Recorded()])
async def test_unchanged_collection_costs_one_request_each_time(http: Recorded) -> None:
    (page,) = await pulled(http, {"revision": "r-7"})
    assert (page.items, page.cursor, page.last) == ((), {"revision": "r-7"}, True)
    (again,) = await pulled(http, dict(page.cursor))
    assert again == page
    assert http.asked == ["/collections/c-1"] * 2


async def test_sweep_lists_everything_although_nothing_changed() -> None:
    pages = await pulled(Recorded(known=True), {"revision": "r-7"}, full=True)
    assert pages[-1].certificate is not None


async def test_document_is_gone_only_while_its_collection_is_visible() -> None:
    http = Recorded()
    listed = [Listed(key="document:d-9", type="document", revision="")]
    (gone,) = await sync.FACET.fetch(context(http), listed)
    assert isinstance(gone, Gone)
    del http.answers["/collections/c-1"]
    with pytest.raises(LostSight):
        await sync.FACET.fetch(context(http), listed)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, b""), SluiceError), ((403, b""), LostSight), ((404, b""), LostSight), ((429, b""), RateLimited),
        ((502, b""), ProviderUnavailable), ((418, b""), ProviderContractBroken), ((200, b'{"id"'), ProviderUnavailable),
        ((200, b'{"id": 7}'), ProviderContractBroken),
    ],
)  # fmt: skip
async def test_every_failure_is_told_by_what_to_do_and_none_is_an_empty_list(
    answer: tuple[int, bytes], error: type[SluiceError]
) -> None:
    http = Recorded()
    http.answers["/collections/c-1"] = answer
    with pytest.raises(error):
        await pulled(http)


@pytest.mark.parametrize("cursor", [{}, {"after": 1}])
async def test_cursor_that_names_no_place_is_refused(cursor: dict[str, object]) -> None:
    with pytest.raises(InvalidCursor):
        await sync.FACET.discover(context(Recorded()), cursor)


async def test_collections_are_offered_and_found_by_id_or_address() -> None:
    offered = await sync.FACET.discover(context(Recorded()), None, "hand")
    assert [one.external_id for one in offered.items] == ["c-1"]
    assert (await sync.FACET.discover(context(Recorded()), None, "nothing like it")).items == ()
    for reference in ("c-1", "https://template.invalid/c-1/"):
        assert (await sync.FACET.find(context(Recorded()), reference)).name == "Handbook"


async def test_grant_tells_whose_it_is_or_that_it_is_dead() -> None:
    http = Recorded()
    assert (await auth.FACET.check(http)).account_id == "u-1"
    http.answers["/me"] = (401, b"")
    with pytest.raises(AuthRevoked):
        await auth.FACET.check(http)


def test_folder_keeps_the_contract_of_every_provider() -> None:
    manifest = read_manifest(FOLDER / "manifest.toml")
    faults = [
        *conformance.manifest_faults(manifest, FOLDER), *conformance.auth_faults(auth.FACET),
        *conformance.chunk_faults(chunks.FACET, manifest), *conformance.sync_faults(sync.FACET),
    ]  # fmt: skip
    assert faults == []
    assert manifest.id == FOLDER.name
    assert {sync.FACET.key_stream("document:d-1")} == set(manifest.streams_of(manifest.default_features()))

"""Keeping the answer that did not fit, when an operator asks for it: without headers, and without any secret."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from libs.common.database.transaction import Row
from libs.common.errors import NotFound
from libs.common.ids import new_id
from libs.common.provider.client import HttpAnswer
from libs.common.telemetry.masking import MASK, mask
from services.sync.deps import Deps
from services.sync.domain.content import storable
from services.sync.repository import captures
from services.sync.repository.captures import Captured
from services.sync.repository.resources import Stored
from services.sync.use_cases.asking import known_integration
from services.sync.use_cases.sweeping import forget_later

LARGEST = 1024 * 1024
BEYOND = 4096  # masked as well, so that no token is cut in two and shown half


async def capture(
    deps: Deps, resource: Stored, stream: str, answer: HttpAnswer | None, *, code: str, detail: str, token: str
) -> None:
    """Nothing unless SYNC_CAPTURE_PAGES says so. `answer` is the last one that the provider gave."""
    if deps.settings.sync_capture_pages == "off" or answer is None:
        return
    page = Captured(
        id=new_id(), integration_id=resource.integration_id, resource_id=resource.id, stream=stream, code=code,
        detail=_clean(detail, token), status=answer.status, url=_place(answer.url), body=_body(answer, token),
        cut=len(answer.body) > LARGEST,
    )  # fmt: skip
    async with deps.db.transaction(resource.workspace_id) as tx:
        await captures.keep(tx, page, days=deps.settings.sync_capture_days)
        await forget_later(tx, deps.settings.sync_capture_days)


def _body(answer: HttpAnswer, token: str) -> str:
    return _clean(answer.body[: LARGEST + BEYOND].decode(errors="replace"), token)[:LARGEST]


def _clean(text: str, token: str) -> str:
    return storable(mask(text.replace(token, MASK) if token else text))


def _place(url: str) -> str:
    """Without its query: signed addresses carry their secret there."""
    parts = urlsplit(url)
    return mask(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


async def list_captured(integration_id: str, *, deps: Deps, workspace: str) -> Sequence[Row]:
    async with deps.db.transaction(workspace) as tx:
        await known_integration(tx, integration_id)
        return await captures.of_integration(tx, integration_id)


async def read_captured(page_id: str, *, deps: Deps, workspace: str) -> Row:
    async with deps.db.transaction(workspace) as tx:
        found = await captures.one(tx, page_id)
    if found is None:
        raise NotFound
    return found

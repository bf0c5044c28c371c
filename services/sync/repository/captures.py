"""Answers of a provider that did not fit, one a stream: the newest is the one to look at."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.database.transaction import Row, Transaction


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """`body` has no secret in it; `cut` when there was more of it."""

    id: str
    integration_id: str
    resource_id: str
    stream: str
    code: str
    detail: str
    status: int
    url: str
    body: str
    cut: bool


async def keep(tx: Transaction, page: Captured, *, days: float) -> None:
    sql = "DELETE FROM captured_page WHERE resource_id = :id AND stream = :stream"
    await tx.execute(sql, id=page.resource_id, stream=page.stream)
    await tx.execute(
        "INSERT INTO captured_page (id, workspace_id, integration_id, resource_id, stream, code, detail, status, url,"
        " body, cut, expires_at) VALUES (:id, :workspace, :integration_id, :resource_id, :stream, :code, :detail,"
        " :status, :url, :body, :cut, now() + CAST(:days AS double precision) * interval '1 day')",
        workspace=tx.workspace,
        days=days,
        **msgspec.structs.asdict(page),
    )


SHOWN = "id, integration_id, resource_id, stream, code, detail, status, url, cut, captured_at, expires_at"


async def of_integration(tx: Transaction, integration_id: str) -> Sequence[Row]:
    """Newest first, without their bodies; at most one a stream."""
    return await tx.fetch_all(
        f"SELECT {SHOWN} FROM captured_page WHERE integration_id = :id AND expires_at > now()"
        " ORDER BY id DESC LIMIT 500",
        id=integration_id,
    )


async def one(tx: Transaction, page_id: str) -> Row | None:
    sql = f"SELECT {SHOWN}, body FROM captured_page WHERE id = :id AND expires_at > now()"
    return await tx.fetch_one(sql, id=page_id)

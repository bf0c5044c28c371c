"""Rows of OAuth attempts. Each move is compare-and-set on what the attempt waits for, so that of many one makes it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from libs.common.database.transaction import Row, Transaction
from services.auth.domain.attempt import Attempt, Starter, State

COLUMNS = (
    "id, workspace_id, provider, principal, subject, ctx, callback, redirect_uri, redirect_url, origin, asked,"
    " reconnect, integration_id, state, code, detail, ticket, parked_at, claimed_at, created_at, expires_at"
)
KEPT_DAYS = 7
WAITING = "id = :id AND state = 'pending' AND claimed_at IS NULL AND ticket IS NOT DISTINCT FROM :ticket"


async def add_attempt(tx: Transaction, attempt: Attempt) -> None:
    """Ended ones of last week are forgotten on the way."""
    await tx.execute(
        "DELETE FROM oauth_attempt WHERE workspace_id = :workspace"
        " AND created_at < now() - make_interval(days => :kept)",
        workspace=tx.workspace,
        kept=KEPT_DAYS,
    )
    values = msgspec.structs.asdict(attempt)
    starter = values.pop("starter")
    names = [name.strip() for name in COLUMNS.split(",")]
    await tx.execute(
        f"INSERT INTO oauth_attempt ({COLUMNS}) VALUES ({', '.join(f':{name}' for name in names)})",
        **values,
        principal=starter.principal,
        subject=starter.subject,
    )


async def find_attempt(tx: Transaction, attempt_id: str) -> Attempt | None:
    row = await tx.fetch_one(f"SELECT {COLUMNS} FROM oauth_attempt WHERE id = :id", id=attempt_id)
    return None if row is None else _attempt(row)


async def await_ticket(
    tx: Transaction, attempt: Attempt, *, ticket: str, expires_at: datetime, parked_at: datetime | None = None
) -> bool:
    """The attempt waits for another ticket from here on; False when it went another way meanwhile."""
    changed = await tx.execute(
        f"UPDATE oauth_attempt SET ticket = :following, expires_at = :expires_at, parked_at = :parked_at"
        f" WHERE {WAITING}",
        id=attempt.id,
        ticket=attempt.ticket,
        following=ticket,
        expires_at=expires_at,
        parked_at=parked_at,
    )
    return changed == 1


async def claim_attempt(tx: Transaction, attempt: Attempt, *, at: datetime) -> bool:
    """The right to make the one token request; False for everyone but the first."""
    changed = await tx.execute(
        f"UPDATE oauth_attempt SET claimed_at = :at WHERE {WAITING}", id=attempt.id, ticket=attempt.ticket, at=at
    )
    return changed == 1


async def end_attempt(
    tx: Transaction,
    attempt: Attempt,
    state: State,
    *,
    code: str | None = None,
    detail: str | None = None,
    integration_id: str | None = None,
) -> bool:
    """False when the attempt moved on since it was read, or has ended."""
    changed = await tx.execute(
        "UPDATE oauth_attempt SET state = :state, code = :code, detail = :detail, ticket = NULL, asked = '',"
        " integration_id = coalesce(CAST(:integration AS text), integration_id)"
        " WHERE id = :id AND state = 'pending' AND ticket IS NOT DISTINCT FROM :ticket"
        " AND (claimed_at IS NULL) = (CAST(:claimed_at AS timestamptz) IS NULL)",
        id=attempt.id,
        ticket=attempt.ticket,
        claimed_at=attempt.claimed_at,
        state=state,
        code=code,
        detail=detail,
        integration=integration_id,
    )
    return changed == 1


def _attempt(row: Row) -> Attempt:
    values = dict(row)
    starter = Starter(principal=values.pop("principal"), subject=values.pop("subject"))
    return msgspec.convert({**values, "starter": starter}, Attempt)

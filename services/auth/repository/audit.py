"""Who did what: inserted and never touched again."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.ids import new_id


async def add_audit(
    tx: Transaction,
    *,
    actor: str,
    action: str,
    outcome: str = "done",
    integration_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    await tx.execute(
        "INSERT INTO audit (id, workspace_id, actor, action, integration_id, outcome, detail)"
        " VALUES (:id, :workspace, :actor, :action, :integration, :outcome, CAST(:detail AS jsonb))",
        id=new_id(),
        workspace=tx.workspace,
        actor=actor,
        action=action,
        integration=integration_id,
        outcome=outcome,
        detail=msgspec.json.encode(detail or {}).decode(),
    )

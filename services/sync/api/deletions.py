"""Deletes with proof over HTTP: the listings that were, what is held, deciding, and bringing back."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from libs.common.http.wire import Page, decode_cursor, following
from libs.common.security.principals import Principal
from services.sync.api.deletions_wire import (
    HeldDeletionWire,
    HeldPreviewWire,
    RestoredWire,
    SweepWire,
    held_wire,
    preview_wire,
    sweep_wire,
)
from services.sync.deps import Deps
from services.sync.use_cases import asking, deletions

READ = "sync:read"
WRITE = "sync:write"

Limit = Annotated[int, QueryParameter(ge=1, le=200)]


@get("/v1/integrations/{integration:str}/sweeps", tags=["sweeps"])
async def list_sweeps(
    integration: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    cursor: FromQuery[str | None] = None,
    limit: Limit = 20,
) -> Page[SweepWire]:
    """Whole listings with their certificates, newest first: what they saw, what they did not, what went."""
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "known_integration", integration)
    before = decode_cursor(cursor, str) if cursor else None
    rows = await deletions.list_sweeps(integration, deps=deps, workspace=workspace, before=before, limit=limit + 1)
    return Page(items=[sweep_wire(row) for row in rows[:limit]], next_cursor=following(rows, limit, "id"))


@post("/v1/sweeps/{sweep:str}/restore", tags=["sweeps"], status_code=200)
async def restore_sweep(
    sweep: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> RestoredWire:
    """Brings back what this listing deleted and nobody has seen since: the same ids, new versions."""
    principal.require(WRITE)
    workspace = await asking.workspace_of(deps, principal, "sweep", sweep)
    restored = await deletions.restore_sweep(sweep, deps=deps, workspace=workspace)
    return RestoredWire(restored=restored.sources)


@get("/v1/integrations/{integration:str}/held-deletions", tags=["sweeps"])
async def list_held_deletions(
    integration: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    cursor: FromQuery[str | None] = None,
    limit: Limit = 20,
) -> Page[HeldDeletionWire]:
    """Deletions that were too many to be believed, newest first."""
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "known_integration", integration)
    before = decode_cursor(cursor, str) if cursor else None
    rows = await deletions.list_held(integration, deps=deps, workspace=workspace, before=before, limit=limit + 1)
    return Page(items=[held_wire(row) for row in rows[:limit]], next_cursor=following(rows, limit, "id"))


@get("/v1/held-deletions/{held:str}", tags=["sweeps"])
async def read_held_deletion(
    held: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    cursor: FromQuery[str | None] = None,
    limit: Limit = 50,
) -> HeldPreviewWire:
    """With a page of the sources that would go."""
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "held_deletion", held)
    after = decode_cursor(cursor, str) if cursor else ""
    found, rows = await deletions.read_held(held, deps=deps, workspace=workspace, after=after, limit=limit + 1)
    return preview_wire(found, rows[:limit], following(rows, limit, "id"))


@post("/v1/held-deletions/{held:str}/apply", tags=["sweeps"], status_code=200)
async def apply_held_deletion(
    held: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> HeldDeletionWire:
    """Deletes what is still held. Applied again it answers the same; rejected before, 409 `already_decided`."""
    principal.require(WRITE)
    workspace = await asking.workspace_of(deps, principal, "held_deletion", held)
    return held_wire(await deletions.decide(held, "applied", deps=deps, workspace=workspace, by=principal.subject))


@post("/v1/held-deletions/{held:str}/reject", tags=["sweeps"], status_code=200)
async def reject_held_deletion(
    held: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> HeldDeletionWire:
    """Keeps everything. A later listing that still does not show them holds them again."""
    principal.require(WRITE)
    workspace = await asking.workspace_of(deps, principal, "held_deletion", held)
    return held_wire(await deletions.decide(held, "rejected", deps=deps, workspace=workspace, by=principal.subject))


@post("/v1/held-deletions/{held:str}/restore", tags=["sweeps"], status_code=200)
async def restore_held_deletion(
    held: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> RestoredWire:
    """Brings back what was applied, for SYNC_RESTORE_DAYS: the same ids, new versions."""
    principal.require(WRITE)
    workspace = await asking.workspace_of(deps, principal, "held_deletion", held)
    restored = await deletions.restore_held(held, deps=deps, workspace=workspace)
    return RestoredWire(restored=restored.sources)

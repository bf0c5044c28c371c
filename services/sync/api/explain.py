"""Explain over HTTP: sync's steps; the other services tell theirs, and the command puts them together."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from libs.common.errors import InvalidInput
from libs.common.http.explained import Step
from libs.common.http.wire import Wire
from libs.common.security.principals import Principal
from services.sync.deps import Deps
from services.sync.use_cases import asking, explain
from services.sync.use_cases.explain import Explained

READ = "sources:read"

Key = Annotated[str | None, QueryParameter(name="externalId", min_length=1, max_length=4096)]


class ExplainedWire(Wire):
    """`reason` is one code for the whole: of a live source its status, else of the first step that stops or waits."""

    workspace_id: str
    integration_id: str
    provider: str
    resource_id: str | None
    resource_external_id: str | None
    external_id: str
    stream: str | None
    source_id: str | None
    version: int | None
    present: bool
    reason: str
    steps: list[Step]


class ExplainedItems(Wire):
    items: list[ExplainedWire]


@get("/v1/explain", tags=["sources"])
async def explain_object(
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    source: FromQuery[str | None] = None,
    integration: FromQuery[str | None] = None,
    external_id: Key = None,
    resource: FromQuery[str | None] = None,
) -> ExplainedItems:
    """Why an object is here or is not: each step with time and reason, from the rows that decided it.

    Ask by `source`, or by `integration` and `externalId` (as sources tell it, like `issue:12`), in one `resource` or in
    all of them.
    """
    principal.require(READ)
    if source is not None:
        workspace = await asking.workspace_of(deps, principal, "source", source)
        return ExplainedItems(items=[_wire(await explain.explain_source(source, deps=deps, workspace=workspace))])
    if integration is None or external_id is None:
        raise InvalidInput("name a source, or an integration and an externalId in it", pointer="/source")
    workspace = await asking.workspace_of(deps, principal, "known_integration", integration)
    found = await explain.explain_key(integration, external_id, deps=deps, workspace=workspace, resource=resource)
    return ExplainedItems(items=[_wire(one) for one in found])


def _wire(one: Explained) -> ExplainedWire:
    source, resource = one.source, one.resource
    return ExplainedWire(
        workspace_id=one.integration["workspace_id"], integration_id=one.integration["id"],
        provider=one.integration["provider"],
        resource_id=resource["id"] if resource else None,
        resource_external_id=resource["external_id"] if resource else None, external_id=one.key, stream=one.stream,
        source_id=source["id"] if source else None, version=source["version"] if source else None,
        present=source is not None and not source["tombstone"], reason=one.reason, steps=list(one.steps),
    )  # fmt: skip

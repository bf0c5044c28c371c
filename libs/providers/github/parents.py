"""A repository that cannot be seen is lost sight of; nothing below it is ever taken for deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.errors import LostSight, ResourceGone
from libs.common.provider.sync import SyncContext


@asynccontextmanager
async def lost_sight_of_parent() -> AsyncIterator[None]:
    """403, 404 and 410 on a parent or its listing mean access, a switched-off feature or a deletion: no one knows."""
    try:
        yield
    except ResourceGone as error:
        raise LostSight("GitHub no longer shows this repository or this part of it") from error


def root(ctx: SyncContext) -> str:
    """By number: it is the same after every rename and transfer (docs: "Best practices for using the REST API")."""
    assert ctx.resource is not None  # noqa: S101 - objects are always a resource's
    return f"/repositories/{ctx.resource.external_id}"

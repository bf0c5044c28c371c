"""A repository that cannot be seen is lost sight of; nothing below it is ever taken for deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.errors import LostSight, ResourceGone
from libs.common.provider.sync import SyncContext
from libs.providers.github.client import decode, get
from libs.providers.github.payloads import Repository


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


async def see_parent(ctx: SyncContext, *, issues: bool = False) -> None:
    """Raises LostSight when the repository, or with `issues` its issues, cannot be seen at this moment: switched off
    they answer 410 as well, each of them (docs: "Issues", 410 Gone)."""
    async with lost_sight_of_parent():
        repository = decode(await get(ctx.http, root(ctx)), Repository)
    if issues and not repository.has_issues:
        raise LostSight("the issues of this repository are switched off")

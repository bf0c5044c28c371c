"""A service's process: its loop, its spans, its document."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import msgspec
import uvloop

from libs.common.runtime import Only, Service, run_service
from libs.common.settings import CommonSettings
from libs.common.telemetry.tracing import configure_tracing

if TYPE_CHECKING:
    from litestar import Litestar


def serve(name: str, settings: CommonSettings, build: Callable[[Any], Service], only: str | None) -> None:
    """Returns after SIGTERM and an ordered shutdown."""
    configure_tracing(name, settings.otel_traces_file)

    async def main() -> None:
        await run_service(build(settings), cast("Only | None", only))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def openapi_text(app: Litestar) -> str:
    from libs.common.http.openapi import openapi_document

    document = msgspec.json.encode(openapi_document(app), order="sorted")
    return msgspec.json.format(document, indent=2).decode() + "\n"

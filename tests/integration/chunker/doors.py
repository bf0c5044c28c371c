"""The chunker's own HTTP application before a rig, asked with a key or as a page of one workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import httpx

from libs.common.command import DESCRIBING
from libs.common.http.app import create_http
from libs.common.http.operations import Operations
from libs.common.security.client_tokens import CLIENT_SCOPES, ClientTokens
from libs.common.security.principals import every_caller, make_service_keys
from libs.common.settings import load_settings
from services.chunker.api import HANDLERS
from services.chunker.settings import ChunkerSettings
from tests.integration.chunker.conftest import Rig

API_KEY = "slk_a-key-of-this-test"
ORIGIN = "http://localhost:5173"


@asynccontextmanager
async def opened(rig: Rig, keys: Path) -> AsyncIterator[httpx.AsyncClient]:
    """With a key that may everything."""
    make_service_keys(keys, ["auth", "sync", "chunker"])
    own = {
        "SERVICE_SIGNING_KEYS_DIR": str(keys),
        "BOOTSTRAP_API_KEY_SHA256": sha256(API_KEY.encode()).hexdigest(),
    }
    settings = load_settings(ChunkerSettings, {**DESCRIBING, **own})

    async def ready() -> dict[str, bool]:
        return {}

    state = {"db": rig.db, "searcher": rig.searcher}
    app = create_http(Operations("chunker", ready), HANDLERS, state, settings, every_caller(settings, services=None))
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # ASGI by two names
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://chunker", headers=headers) as client:
        yield client


def page_of(
    keys: Path, workspace: str, *, user: str = "ann", scopes: tuple[str, ...] = CLIENT_SCOPES
) -> dict[str, str]:
    """What a page of the application sends."""
    token, _ = ClientTokens(keys).issue(
        workspace=workspace, user=user, origin=ORIGIN, scopes=scopes, life=timedelta(minutes=5)
    )
    return {"authorization": f"Bearer {token}", "origin": ORIGIN}

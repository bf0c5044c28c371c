"""What every part of auth may use; made once, in app.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.database.engine import Database
from libs.common.security.principals import ClientTokens
from libs.common.security.vault import Vault
from services.auth.providers import Providers
from services.auth.settings import AuthSettings
from services.auth.states import States


@dataclass(frozen=True, kw_only=True)
class Deps:
    settings: AuthSettings
    db: Database
    clock: Clock
    vault: Vault
    providers: Providers
    states: States
    budget_key: Callable[[], bytes]
    clients: ClientTokens

"""Refusals of this service that a client tells apart by their code."""

from __future__ import annotations

from libs.common.errors import Conflict, InvalidInput, InvalidState, NotFound


class WorkspaceUnknown(NotFound):
    code = "unknown_workspace"


class WorkspaceErased(Conflict):
    code = "workspace_erased"


class ProviderPlanned(Conflict):
    code = "provider_planned"


class TypeTaken(Conflict):
    code = "type_already_connected"


class OtherAccount(Conflict):
    code = "other_account"


class KeyInUse(Conflict):
    code = "idempotency_in_progress"


class KeyReused(InvalidInput):
    code = "idempotency_key_reused"


class TokenRefused(InvalidInput):
    code = "token_refused"


class Disconnected(InvalidState):
    code = "disconnected"

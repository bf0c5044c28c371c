"""Refusals of this service that a client tells apart by their code."""

from __future__ import annotations

from libs.common.errors import Conflict, Forbidden, InvalidInput, InvalidState, NotFound


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


class ProviderNotConfigured(Conflict):
    code = "provider_not_configured"


class RedirectNotAllowed(InvalidInput):
    code = "redirect_not_allowed"


class OriginNotAllowed(InvalidInput):
    code = "origin_not_allowed"


class StateUnknown(Conflict):
    """Never ours, or used before: which of the two is told to nobody."""

    code = "oauth_state_unknown"
    title = "This state or handle is not open; start again"


class AttemptExpired(Conflict):
    code = "oauth_attempt_expired"
    title = "The consent took too long; start again"


class StateLost(Conflict):
    """Redis may lose everything; what was open then is told, never guessed."""

    code = "oauth_state_lost"
    title = "The state of this attempt was lost; start again"


class AttemptInterrupted(Conflict):
    code = "oauth_interrupted"
    title = "The attempt was interrupted while the provider was asked; start again"


class ConsentDenied(Conflict):
    code = "oauth_denied"
    title = "Consent was denied"


class ConsentFailed(Conflict):
    code = "oauth_consent_failed"
    title = "The provider could not ask for consent"


class ExchangeRefused(Conflict):
    code = "oauth_refused"
    title = "The provider refused the code"


class ScopesMissing(Conflict):
    code = "oauth_scopes_missing"
    title = "Less was granted than is needed; connect again and grant all of it"


class StartedElsewhere(Forbidden):
    """The browser that comes back is not the one that left."""

    code = "oauth_started_elsewhere"
    title = "This consent was not started in this browser"


class IssuerMismatch(Conflict):
    """RFC 9207: an answer of another server than the one that was asked."""

    code = "oauth_issuer_mismatch"
    title = "This answer comes from another authorization server"

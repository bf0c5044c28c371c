"""The last step, by whoever began: one token request, the account proved, the integration and its event stored."""

from __future__ import annotations

import msgspec

from libs.common.errors import GrantFailure, SightFailure, SluiceError
from libs.common.provider.auth import Account, TokenAnswer
from libs.common.provider.manifest import Manifest
from services.auth.deps import Deps
from services.auth.domain.attempt import (
    Attempt,
    Returned,
    Starter,
    check_issuer,
    missing_scopes,
    refusal_of,
    require_ticket,
)
from services.auth.domain.integration import Seen
from services.auth.domain.refusals import ExchangeRefused, ScopesMissing, StateLost, StateUnknown
from services.auth.providers import Grant
from services.auth.repository import attempts
from services.auth.states import Waiting, hash_of
from services.auth.use_cases.connect import ConnectAsked, prepare, store_connection
from services.auth.use_cases.grants import renew_grant
from services.auth.use_cases.oauth.found import end, find_attempt, find_by_state, require_starter, waiting_for
from services.auth.use_cases.revoke import give_back
from services.auth.vaulting import open_for


async def complete_by_handle(
    attempt_id: str, handle: str, *, deps: Deps, starter: Starter, workspace: str | None
) -> Seen:
    """After our own callback parked the code."""
    attempt = await find_attempt(attempt_id, deps=deps)
    require_starter(attempt, starter, workspace)
    require_ticket(attempt, hash_of(handle), deps.clock.now())
    if attempt.parked_at is None:
        raise StateUnknown
    claimed, waiting = await _claim(attempt, hash_of(handle), deps=deps)
    return await _finish(claimed, waiting, None, deps=deps)


async def complete_by_code(returned: Returned, *, deps: Deps, starter: Starter, workspace: str | None) -> Seen:
    """From the application's own callback page, which holds what the provider sent back."""
    attempt = await find_by_state(returned.state, deps=deps)
    require_starter(attempt, starter, workspace)
    if attempt.callback != "application":
        raise StateUnknown  # our own callback asks for the browser's mark first; nobody goes around it
    require_ticket(attempt, hash_of(returned.state), deps.clock.now())
    manifest = deps.providers.known(attempt.provider)
    if manifest.oauth is not None:
        check_issuer(manifest.oauth, returned)
    claimed, waiting = await _claim(attempt, hash_of(returned.state), deps=deps)
    return await _finish(claimed, waiting, returned, deps=deps)


async def _claim(attempt: Attempt, ticket: str, *, deps: Deps) -> tuple[Attempt, Waiting]:
    """Only one of many gets past here, by Postgres; what it needs is taken out of Redis, for good."""
    now = deps.clock.now()
    await waiting_for(attempt, ticket, deps=deps)
    async with deps.db.transaction(attempt.workspace_id) as tx:
        if not await attempts.claim_attempt(tx, attempt, at=now):
            raise StateUnknown
    claimed = msgspec.structs.replace(attempt, claimed_at=now)
    waiting = await deps.states.take(ticket)
    if waiting is None:
        lost = StateLost()
        await end(claimed, lost, deps=deps)
        raise lost
    return claimed, waiting


async def _finish(attempt: Attempt, waiting: Waiting, returned: Returned | None, *, deps: Deps) -> Seen:
    """Whatever goes wrong ends the attempt with its code. A pointer would name a field of the request that began."""
    manifest = deps.providers.known(attempt.provider)
    answer: TokenAnswer | None = None
    try:
        answer = await _exchange(attempt, waiting, returned, manifest, deps=deps)
        grant, account = await _prove(answer, manifest, deps=deps)
        return await _store(attempt, grant, account, manifest, deps=deps)
    except SluiceError as error:
        error.pointer = None
        await end(attempt, error, deps=deps)
        if answer is not None:
            await give_back(answer.access_token, attempt, deps=deps)
        raise


async def _exchange(
    attempt: Attempt, waiting: Waiting, returned: Returned | None, manifest: Manifest, *, deps: Deps
) -> TokenAnswer:
    """The one token request; no transaction is open."""
    refusal = None if returned is None else refusal_of(returned)
    if refusal is not None:
        raise refusal
    registration = deps.providers.registrations.client(manifest, attempt.redirect_uri)
    async with deps.db.transaction(attempt.workspace_id) as tx:
        verifier = await open_for(tx, attempt, "verifier", waiting.verifier, deps=deps)
        code = returned.code if returned else await open_for(tx, attempt, "code", waiting.code, deps=deps)
    try:
        return await deps.providers.exchange(manifest, registration, code=code, verifier=verifier)
    except (GrantFailure, SightFailure) as error:
        raise ExchangeRefused(error.detail) from None


async def _prove(answer: TokenAnswer, manifest: Manifest, *, deps: Deps) -> tuple[Grant, Account]:
    """Whether it is enough, and whose it is."""
    missing = missing_scopes(manifest.oauth, answer.scopes) if manifest.oauth else ()
    if missing:
        raise ScopesMissing(f"{manifest.name} was not granted {', '.join(missing)}; connect again and grant it")
    grant = Grant(
        token=answer.access_token,
        kind="oauth",
        refresh_token=answer.refresh_token or "",
        expires_at=answer.expires_at,
    )
    try:
        account = await deps.providers.whose(manifest, grant)
    except (GrantFailure, SightFailure):
        told = f"{manifest.name} shows no account for the grant that it just gave; connect again and grant all of it"
        raise ExchangeRefused(told) from None
    return grant, msgspec.structs.replace(account, scopes=answer.scopes)


async def _store(attempt: Attempt, grant: Grant, account: Account, manifest: Manifest, *, deps: Deps) -> Seen:
    actor = attempt.starter.principal
    async with deps.db.transaction(attempt.workspace_id) as tx:
        if attempt.reconnect and attempt.integration_id is not None:
            seen = await renew_grant(tx, attempt.integration_id, account, grant, deps=deps, actor=actor)
        else:
            asked = msgspec.json.decode(attempt.asked, type=ConnectAsked)
            draft = prepare(asked, grant, manifest=manifest, workspace=attempt.workspace_id, deps=deps)
            seen = await store_connection(tx, draft, account, deps=deps, actor=actor)
        if not await attempts.end_attempt(tx, attempt, "connected", integration_id=seen.integration.id):
            raise StateUnknown  # held to be dead and ended meanwhile: nothing of it is stored
    return seen

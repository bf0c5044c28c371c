"""Auth's Postgres schema, told as lists: what belongs to a workspace, what workers claim, what is found by id.

workspace     one row an application's workspace; `deleting_at` set = it is gone for callers, teardown runs
integration   the desired state, its version and where the grant stands; live = `disconnected_at` is null
observation   what sync, webhooks and chunker report of an integration, each with its own version
credential    insert-only versions of a grant, sealed; erased ones keep the row and lose the secret
audit         who did what; stays when its workspace is erased
idempotency   answers of POSTs that carried an Idempotency-Key
oauth_attempt one consent: who began, what it waits for (a hash), how it ended; what it needs meanwhile is in Redis
"""

from __future__ import annotations

TENANT_TABLES: tuple[str, ...] = (
    "workspace",
    "integration",
    "observation",
    "credential",
    "audit",
    "idempotency",
    "oauth_attempt",
)
QUEUE_TABLES: tuple[str, ...] = ()
LOCATABLE: tuple[str, ...] = ("integration", "oauth_attempt")

"""What hooks have to do with one object: whether one is watching its resource, and which deliveries named it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from libs.common.database.transaction import Row
from libs.common.errors import NotFound
from libs.common.events import Hint, WebhookReceived
from libs.common.events.catalog import topic_of
from libs.common.http.explained import Outcome, Step
from libs.common.outbox.told import Told, told_on
from libs.common.security.callers import Principal
from services.webhooks.deps import Deps
from services.webhooks.repository import subscriptions
from services.webhooks.use_cases.operate import READ, workspace_of

MOST_LOOKED = 500
MOST_SHOWN = 5
TOPIC = topic_of(WebhookReceived).name
OUTCOMES: dict[str, Outcome] = {"active": "passed", "registering": "waiting", "failing": "waiting"}


class About(msgspec.Struct, frozen=True, kw_only=True):
    """`resource` is the provider's own id of it."""

    resource: str
    stream: str
    key: str

    def named_by(self, hint: Hint) -> bool:
        """By its key, or with its whole stream."""
        if hint.resource_external_id != self.resource:
            return False
        return self.key in hint.keys or (not hint.keys and hint.stream == self.stream)


async def explain_object(*, deps: Deps, principal: Principal, integration_id: str, about: About) -> list[Step]:
    workspace = await workspace_of(deps, principal, "integration", integration_id, READ)
    async with deps.db.transaction(workspace) as tx:
        hook = await subscriptions.hook_of(tx, integration_id, about.resource)
        if hook is None:
            raise NotFound
        told = await told_on(tx, TOPIC, integration_id, limit=MOST_LOOKED)
    return [_hook(hook), *_hints(told, about)]


def _hook(row: Row) -> Step:
    if not row["monitor_changes"]:
        detail = "changes are not monitored: polls and syncs alone find them"
        return Step(step="hook", outcome="noted", code="not_monitored", detail=detail)
    if row["state"] is None:
        detail = "no hook of ours is wanted for its resource: it is set up by hand, polled, or not selected"
        return Step(step="hook", outcome="noted", code="no_hook", detail=detail)
    said = row["detail"] or f"the hook of its resource is {row['state']}"
    facts = {"hookId": row["hook_id"], "assertedAt": row["asserted_at"]}
    outcome = OUTCOMES.get(row["state"], "noted")
    return Step(
        step="hook", outcome=outcome, code=f"hook_{row['state']}", detail=said, at=row["updated_at"], facts=facts
    )


def _hints(told: Sequence[Told], about: About) -> Iterator[Step]:
    """Of the deliveries whose event is still kept, the newest that name it."""
    events = [(one, msgspec.json.decode(one.payload, type=WebhookReceived)) for one in told]
    naming = [(one, event) for one, event in events if any(map(about.named_by, event.hints))]
    for one, event in naming[:MOST_SHOWN]:
        facts = {"deliveryId": event.delivery_id, "seq": one.seq, "partition": one.kafka_partition,
                 "offset": one.kafka_offset}  # fmt: skip
        detail = f"a delivery `{event.event}` named it"
        yield Step(step="delivery", outcome="passed", code="heard", detail=detail, at=event.received_at, facts=facts)
    if not naming:
        detail = f"none of the last {len(events)} deliveries names it" if events else "nothing was delivered lately"
        oldest = events[-1][1].received_at if events else None
        yield Step(step="delivery", outcome="noted", code="not_heard", detail=detail, at=oldest)

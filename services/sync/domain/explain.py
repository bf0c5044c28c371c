"""Why an object of a provider is here, or why it is not: each step from the rows that decided it. Pure rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec

from libs.common.database.transaction import Row
from libs.common.events.source import SourceChanged, SourceType
from libs.common.http.explained import Outcome, Step
from libs.common.outbox.told import Told
from libs.common.provider.manifest import Manifest
from services.sync.domain.features import wanted_types

SIGHT = ("lost_sight", "resource_gone")


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that decide, as they are stored. None: there is no such row."""

    integration: Row
    resource: Row | None
    source: Row | None = None
    stream: Row | None = None
    quarantine: Row | None = None
    dirty: Row | None = None
    work: Row | None = None
    look: Row | None = None
    held: Row | None = None
    buried: Row | None = None
    sweep: Row | None = None
    told: Sequence[Told] = ()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`stream` None: the provider has no such kind of key. `named`: how the caller called the resource."""

    key: str
    stream: str | None
    named: str | None = None


def explain(known: Known, asked: Asked, manifest: Manifest) -> list[Step]:
    """In the order of the way; the steps behind one that stops are told as well where rows speak of them."""
    parts: tuple[Callable[[Known, Asked, Manifest], Iterator[Step]], ...] = (
        _integration, _resource, _feature, _window, _quarantine, _reading, _hints, _work, _look, _held, _deleted,
        _version, _told,
    )  # fmt: skip
    return [step for part in parts for step in part(known, asked, manifest)]


def reason(known: Known, steps: list[Step]) -> str:
    """One code for the whole: of what is here, its status; of what is not, the first step that stops or waits."""
    if known.source is not None and not known.source["tombstone"]:
        return str(known.source["status"])
    for outcome in ("stopped", "waiting"):
        for step in steps:
            if step.outcome == outcome:
                return step.code
    return "unknown"


def _step(step: str, outcome: Outcome, code: str, detail: str, at: datetime | None = None, **facts: Any) -> Step:
    return Step(step=step, outcome=outcome, code=code, detail=detail, at=at, facts=facts)


def _integration(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    row = known.integration
    facts = {"status": row["status"], "features": list(row["features"]), "provider": row["provider"]}
    if row["disconnected"]:
        at, detail = _moment(row["version"]), "it was disconnected: nothing of it is kept"
        yield _step("integration", "stopped", "disconnected", detail, at, **facts)
    elif row["status"] == "inactive":
        yield _step("integration", "stopped", "paused", "it is paused: nothing is read until it is resumed", **facts)
    elif row["status"] != "active":
        yield _step("integration", "stopped", "grant_lost", "its grant is lost: reconnect it", **facts)
    else:
        yield _step("integration", "passed", "connected", f"{row['name']} is connected", row["known_since"], **facts)


def _resource(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    row = known.resource
    if row is None:
        named = f"{asked.named} was" if asked.named else f"no {manifest.resource_kind} was"
        yield _step("resource", "stopped", "not_selected", f"{named} never selected here, or is forgotten")
        return
    facts = {"id": row["id"], "externalId": row["external_id"], "name": row["name"], "state": row["state"]}
    if not row["selected"]:
        yield _step(
            "resource", "stopped", "deselected", f"{row['name']} was deselected", _moment(row["version"]), **facts
        )
    elif row["error_code"] in SIGHT:
        detail = f"{row['name']} cannot be seen: {row['error']}; nothing is deleted for that, and nothing is read"
        yield _step("resource", "stopped", "lost_sight", detail, row["last_polled_at"], **facts)
    elif row["error_code"]:
        detail = f"the last look at {row['name']} failed: {row['error']}"
        yield _step("resource", "waiting", row["error_code"], detail, tries=row["error_count"], **facts)
    else:
        yield _step("resource", "passed", "selected", f"{row['name']} is selected", row["created_at"], **facts)


def _feature(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    kind = known.source["type"] if known.source else type_of_key(manifest, asked.key)
    if known.source is None and asked.stream is None:
        detail = f"{manifest.name} has no objects with keys like this one"
        yield _step("feature", "stopped", "key_unknown", detail, kinds=sorted(_types(manifest)))
        return
    chosen = tuple(known.integration["features"])
    pulling = [
        one.id for one in manifest.features
        if (kind in one.source_types if kind else asked.stream in one.streams)
    ]  # fmt: skip
    on = [one for one in pulling if one in chosen]
    if kind in wanted_types(manifest, chosen) or (kind is None and on):
        yield _step("feature", "passed", "feature_on", f"{', '.join(on)} brings it", type=kind)
    else:
        detail = f"no chosen feature brings {kind or 'it'}: switch on {' or '.join(pulling)}"
        yield _step("feature", "stopped", "feature_off", detail, type=kind, chosen=list(chosen))


def type_of_key(manifest: Manifest, key: str) -> SourceType | None:
    """What the key itself says, where a provider's keys begin with their type."""
    prefix = key.partition(":")[0]
    return next((kind for kind in _types(manifest) if kind == prefix), None)


def _types(manifest: Manifest) -> list[SourceType]:
    return [kind for kind in get_args(SourceType) if any(kind in one.source_types for one in manifest.features)]


def _window(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    since = known.resource["since"] if known.resource else None
    if since is None:
        return
    if known.source is not None:
        yield _step("window", "passed", "within_window", "it lies within what is read", since)
        return
    detail = "only what changed since then is read: it may have been quiet before that"
    yield _step("window", "noted", "window_bounded", detail, since)


def _reading(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    """Last read, or the last whole look that did not meet it."""
    row, resource, stream = known.source, known.resource, known.stream
    complete = resource["last_complete_at"] if resource else None
    facts: dict[str, Any] = {"lastCompleteAt": complete, "freshAsOf": known.look["fresh_as_of"] if known.look else None}
    if known.sweep is not None:
        facts["sweep"] = {name: known.sweep[name] for name in ("id", "state", "items", "errors", "finished_at")}
    if stream is not None:
        facts |= {"stream": stream["stream"], "lastPageAt": stream["last_page_at"]}
    if row is not None:
        facts |= {
            "revision": row["revision"], "contentHash": row["content_hash"], "bytes": row["bytes"],
            "providerUpdatedAt": row["provider_updated_at"], "firstSeenAt": row["created_at"],
        }  # fmt: skip
        yield _step("reading", "passed", "read", "it was read and compared last", row["seen_at"], **facts)
    elif resource is None or not resource["selected"] or asked.stream is None or known.quarantine is not None:
        return
    elif known.work is not None and not complete:
        yield _step("reading", "waiting", "not_read_yet", f"{resource['name']} is still being read", **facts)
    elif complete:
        detail = f"no look at {resource['name']} met it; the last whole one ended then"
        yield _step("reading", "stopped", "not_listed", detail, complete, **facts)
    else:
        yield _step("reading", "stopped", "never_listed", f"{resource['name']} was never read to its end", **facts)


def _hints(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    row = known.dirty
    if row is None:
        return
    facts = {"attempts": row["attempts"], "nextTryAt": row["run_at"], "heardAt": _moment(row["wanted"])}
    state = "paused" if row["paused"] else "being read just now" if row["leased"] else "to be read again"
    yield _step("hint", "waiting", "dirty", f"a hint named it: it is {state}", row["run_at"], **facts)


def _work(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    row = known.work
    if row is None:
        return
    facts = {name: row[name] for name in ("kind", "cause", "attempts", "streams", "run_id")}
    if row["paused"]:
        yield _step("work", "noted", "work_paused", "its resource waits until the integration is resumed", **facts)
    elif row["leased"]:
        yield _step("work", "noted", "reading_now", "its resource is being read just now", **facts)
    elif row["parked_until"]:
        detail = "its resource is parked until the provider's budget is back"
        yield _step("work", "noted", "parked", detail, row["parked_until"], **facts)
    else:
        yield _step("work", "noted", "queued", "its resource is waiting to be read", row["run_at"], **facts)


def _quarantine(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    row = known.quarantine
    if row is not None:
        detail = f"the provider's answer did not fit: {row['detail']}"
        facts = {"breach": row["code"], "attempts": row["attempts"], "firstSeenAt": row["first_seen_at"]}
        yield _step("quarantine", "stopped", "quarantined", detail, row["last_seen_at"], **facts)


def _look(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    """When its resource is looked at next, and why then."""
    row = known.look
    if row is not None and (row["next_poll_at"] or row["next_sweep_at"]):
        due = min(at for at in (row["next_poll_at"], row["next_sweep_at"]) if at)
        facts = {"nextPollAt": row["next_poll_at"], "nextSweepAt": row["next_sweep_at"]}
        detail = f"the next look at its resource is planned: {row['reason'] or 'a sweep is due then'}"
        yield _step("look", "noted", "next_look", detail, due, **facts)


def _held(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    """A sweep did not meet it, and would delete too much at once: a person decides."""
    row = known.held
    if row is not None:
        detail = f"a whole listing did not meet it; with {row['count']} of {row['of']} it waits for approval"
        facts = {"heldDeletionId": row["id"], "sweepId": row["sweep_id"], "reason": row["reason"]}
        yield _step("held", "waiting", "deletion_held", detail, row["created_at"], **facts)


def _deleted(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    row, buried = known.source, known.buried
    if row is None or not row["tombstone"]:
        return
    facts: dict[str, Any] = {"version": row["version"]}
    if buried is not None:
        facts |= {"sweepId": buried["sweep_id"], "restorableUntil": buried["expires_at"]}
    yield _step("deleted", "stopped", "deleted", str(row["proof"]), row["updated_at"], **facts)


def _version(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    row = known.source
    if row is None or row["tombstone"]:
        return
    outcomes: dict[str, Outcome] = {"ready": "passed", "failed": "stopped"}
    said = {
        "ready": "this version is searchable", "failed": f"it could not be indexed: {row['status_detail']}",
        "pending": "this version waits for the indexer", "processing": "the indexer has taken this version",
    }  # fmt: skip
    status, outcome = row["status"], outcomes.get(row["status"], "waiting")
    yield _step("version", outcome, status, said[status], row["updated_at"], version=row["version"], type=row["type"])


def _told(known: Known, asked: Asked, manifest: Manifest) -> Iterator[Step]:
    """The event of the present version, or of the delete; older ones are of no interest."""
    if known.source is None:
        return
    version = known.source["version"]
    for told in known.told:
        event = msgspec.json.decode(told.payload, type=SourceChanged)
        if event.version != version:
            continue
        facts = {
            "version": version, "change": event.change, "cause": event.cause, "eventId": told.event_id, "seq": told.seq,
            "partition": told.kafka_partition, "offset": told.kafka_offset,
        }  # fmt: skip
        if told.published_at is None:
            detail = "it waits for the relay: the broker is away, or behind"
            yield _step("event", "waiting", "unpublished", detail, told.occurred_at, **facts)
        else:
            detail = f"told as {event.change} because of a {event.cause}"
            yield _step("event", "passed", "published", detail, told.published_at, **facts)
        return
    yield _step("event", "noted", "event_not_kept", "its event is older than what the outbox keeps", version=version)


def _moment(version: int) -> datetime:
    """A version is the time of its writing in milliseconds, or one more than the version before."""
    return datetime.fromtimestamp(version / 1000, UTC)

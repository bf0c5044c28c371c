"""Everything that is written about the topics comes from the catalogue: a page, an AsyncAPI 3 document, a topic list.

`python -m libs.common.events.documents` writes them, `--check` says which are stale.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from libs.common.events.catalog import CATALOG, Topic
from libs.common.events.cloudevents import CONTENT_TYPE, SPEC_VERSION, source_of

ROOT = Path(__file__).resolve().parents[3]
PAGE, ASYNCAPI, TOPICS = "docs/events.md", "docs/asyncapi.json", "deploy/kafka/topics.yaml"
VERSION = "1"
REF = "#/components/schemas/{name}"
HOUR_MS = 3_600_000

Json = dict[str, Any]


def documents() -> dict[str, str]:
    """Path below the root → text."""
    return {PAGE: page(), ASYNCAPI: pretty(asyncapi()), TOPICS: topics_yaml()}


def stale(root: Path = ROOT) -> list[str]:
    return [
        path for path, text in documents().items() if not (root / path).exists() or (root / path).read_text() != text
    ]


def write(root: Path = ROOT) -> None:
    for path, text in documents().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def pretty(document: Mapping[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def schema(topic: Topic) -> Json:
    """The JSON Schema of a topic's body, whole in itself."""
    (body,), components = msgspec.json.schema_components([topic.event], ref_template="#/$defs/{name}")
    whole: Json = msgspec.json.decode(msgspec.json.encode({**body, "$defs": components}))
    return whole


def asyncapi() -> Json:
    _, schemas = msgspec.json.schema_components([topic.event for topic in CATALOG], ref_template=REF)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Sluice events", "version": VERSION, "description": "Thin facts about what changed."},
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic.name: _channel(topic) for topic in CATALOG},
        "operations": {f"{topic.owner}.{topic.name}": _operation(topic) for topic in CATALOG},
        "components": {
            "messages": {topic.event.__name__: _message(topic) for topic in CATALOG},
            "messageTraits": {"cloudEvent": _trait()},
            "schemas": schemas,
        },
    }


def _channel(topic: Topic) -> Json:
    name = topic.event.__name__
    settings = {"topic": topic.name, "partitions": topic.partitions, "bindingVersion": "0.5.0"}
    settings["topicConfiguration"] = {"retention.ms": topic.retention_hours * HOUR_MS}
    return {
        "address": topic.name,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {"kafka": settings},
    }


def _operation(topic: Topic) -> Json:
    channel = f"#/channels/{topic.name}"
    message = {"$ref": f"{channel}/messages/{topic.event.__name__}"}
    return {"action": "send", "channel": {"$ref": channel}, "messages": [message], "summary": _meaning(topic)}


def _message(topic: Topic) -> Json:
    name = topic.event.__name__
    key = {"type": "string", "description": f"`{topic.event.key_field}`: events of one thing stay in order"}
    return {
        "name": name,
        "contentType": CONTENT_TYPE,
        "summary": _meaning(topic),
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": REF.format(name=name)},
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
    }


def _trait() -> Json:
    names = ("ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "traceparent")
    texts: Json = {name: {"type": "string"} for name in names}
    texts["ce_specversion"] = {"type": "string", "const": SPEC_VERSION}
    required = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"]
    return {"headers": {"type": "object", "properties": texts, "required": required}}


def topics_yaml() -> str:
    """For whoever keeps topics as files: name, partitions, settings. A service makes what is missing by itself."""
    head = "# Made from libs/common/events/catalog.py by `python -m libs.common.events.documents`.\ntopics:\n"
    return head + "".join(
        f"  - name: {topic.name}\n"
        f"    owner: {topic.owner}\n"
        f"    partitions: {topic.partitions}\n"
        f"    config:\n"
        f'      cleanup.policy: "delete"\n'
        f'      retention.ms: "{topic.retention_hours * HOUR_MS}"\n'
        for topic in CATALOG
    )


def page() -> str:
    rows = "".join(
        f"| [`{topic.name}`](#{_anchor(topic)}) | {topic.owner} | {topic.event.key_field} | {topic.partitions} |"
        f" {topic.retention_hours // 24} d | {_meaning(topic)} |\n"
        for topic in CATALOG
    )
    return PAGE_HEAD + rows + "\n" + "\n".join(_section(topic) for topic in CATALOG)


PAGE_HEAD = f"""# Events

<!-- Made from libs/common/events/catalog.py by `python -m libs.common.events.documents`. -->

One topic, one class, one owner. An event says which thing, which version and why; never its content, never a secret:
the reader asks the owner for the present truth. The same as a machine reads it: [asyncapi.json](asyncapi.json).

On the wire: CloudEvents {SPEC_VERSION}, Kafka binary mode. The attributes are the headers `ce_specversion`, `ce_id`,
`ce_source` (`{source_of("sync")}`), `ce_type` (the topic), `ce_time`, `ce_subject` (the key) and `content-type`
(`{CONTENT_TYPE}`); `traceparent` carries the trace of the change. The body is the JSON below; the Kafka key is the id
of the thing whose events must stay in order.

- At least once: an event may come twice, also long after; its `version` tells what is old. Of `webhook.received`, which
  has none, `delivery_id` with `received_at` tells: asked for again by a person, a delivery has the time of that.
- Within a version only optional fields are added, and readers ignore fields they do not know.
- A break is a new class on `<topic>.v2`; both are sent until nobody reads the old one.

| topic | owner | key | partitions | kept | meaning |
|---|---|---|---|---|---|
"""


def _section(topic: Topic) -> str:
    _, components = msgspec.json.schema_components([topic.event], ref_template="{name}")
    own = components.pop(topic.event.__name__)
    nested = "".join(f"\n`{name}`\n\n{_fields(found)}" for name, found in components.items() if "properties" in found)
    return (
        f"## {topic.name}\n\n{topic.event.__name__}, told by {topic.owner}. {_meaning(topic)}\n\n{_fields(own)}{nested}"
    )


def _fields(found: Json) -> str:
    required = set(found.get("required", ()))
    lines = "".join(
        f"| {name} | {_kind(field)} | {'yes' if name in required else 'no'} |\n"
        for name, field in found["properties"].items()
    )
    return f"| field | type | required |\n|---|---|---|\n{lines}"


def _kind(field: Json) -> str:
    if "$ref" in field:
        return str(field["$ref"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}))}"
    return str(field.get("format") or field.get("type") or "any")


def _meaning(topic: Topic) -> str:
    """Every topic has one: a new one without it cannot be generated."""
    return MEANINGS[topic.name]


def _anchor(topic: Topic) -> str:
    return topic.name.replace(".", "")


MEANINGS = {
    "integration.connected": "A grant works: its resources can be discovered and its first run begins.",
    "integration.updated": "What the user wants of it changed: settings, features, paused or resumed.",
    "integration.disconnected": "Tear it down and tombstone everything of it.",
    "integration.auth_failed": "The provider refused the grant: nothing is synced until the user consents anew.",
    "workspace.deleted": "Erase every row of the workspace and refuse late writes.",
    "webhook.received": "A verified, stored delivery; it only says where to look again.",
    "webhook.subscription_changed": "Health of an integration's hooks, as absolute values.",
    "resource.selected": "A repository, project, channel, folder or site is synced from now on.",
    "resource.deselected": "It is no longer synced.",
    "source.changed": "A synced thing was created, updated, deleted or renamed.",
    "sync.started": "A run began.",
    "sync.completed": "A run ended well, with its counts.",
    "sync.failed": "A run ended with a typed error.",
    "sync.state_changed": "What is observed of an integration, as absolute values.",
    "source.indexed": "This version of a source can be found by search, or is gone from it.",
    "source.index_failed": "This version could not be indexed, and why.",
    "feedback.recorded": "Counts of an integration's feedback after this signal.",
}


def main(arguments: list[str]) -> int:
    if "--check" not in arguments:
        write()
        return 0
    found = stale()
    for path in found:
        sys.stderr.write(f"{path} is not what the catalogue says: run python -m libs.common.events.documents\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""No event breaks a reader: golden schemas, every sample that was ever shipped, generated documents in step."""

import copy
from pathlib import Path

import msgspec
import pytest
import yaml

from libs.common.events import CATALOG, Topic
from libs.common.events.documents import asyncapi, documents, schema, stale
from tests.contract.events.compatible import breaks

HERE = Path(__file__).parent
SAMPLES = sorted((HERE / "samples").rglob("*.json"))
topics = pytest.mark.parametrize("topic", CATALOG, ids=lambda topic: topic.name)


def _told_then(sample: object, written: object) -> object:
    """What is written today, without the fields that the sample's time did not know."""
    if not (isinstance(sample, dict) and isinstance(written, dict)):
        return written
    return {key: _told_then(sample[key], written[key]) for key in sample}


def golden(topic: Topic) -> dict:
    return msgspec.json.decode((HERE / "golden" / f"{topic.name}.json").read_bytes())


@topics
def test_a_schema_is_the_golden_one_or_has_only_new_optional_fields(topic: Topic) -> None:
    assert breaks(golden(topic), schema(topic)) == []


@topics
def test_a_removed_a_retyped_and_a_newly_required_field_are_breaks(topic: Topic) -> None:
    present = schema(topic)
    name = topic.event.__name__
    fields = present["$defs"][name]["properties"]
    for field in fields:
        removed, retyped = copy.deepcopy(present), copy.deepcopy(present)
        del removed["$defs"][name]["properties"][field]
        retyped["$defs"][name]["properties"][field] = {"type": "null"}
        assert breaks(present, removed), field
        assert breaks(present, retyped), field
    stricter = copy.deepcopy(present)
    stricter["$defs"][name]["properties"]["added"] = {"type": "string"}
    assert breaks(present, stricter) == []
    stricter["$defs"][name]["required"].append("added")
    assert breaks(present, stricter)


@topics
def test_every_topic_has_a_sample(topic: Topic) -> None:
    assert (HERE / "samples" / topic.name / "v1.json").exists()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_shipped_sample_is_read_with_unknown_fields_and_keeps_its_key(path: Path) -> None:
    topic = next(topic for topic in CATALOG if topic.name == path.parent.name)
    sample = msgspec.json.decode(path.read_bytes())
    event = msgspec.json.decode(path.read_bytes(), type=topic.event)
    assert event.key == str(sample[topic.event.key_field])
    newer = msgspec.json.encode({**sample, "a_field_of_tomorrow": {"deep": [1]}})
    assert msgspec.json.decode(newer, type=topic.event) == event
    written = msgspec.json.decode(msgspec.json.encode(event))
    assert _told_then(sample, written) == sample


@topics
def test_a_sample_without_a_required_field_is_refused(topic: Topic) -> None:
    sample = msgspec.json.decode((HERE / "samples" / topic.name / "v1.json").read_bytes())
    for field in schema(topic)["$defs"][topic.event.__name__]["required"]:
        without = {key: value for key, value in sample.items() if key != field}
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(without), type=topic.event)


def test_generated_documents_are_fresh() -> None:
    assert stale() == []


def test_a_stale_document_is_noticed(tmp_path: Path) -> None:
    for path, text in documents().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert stale(tmp_path) == []
    (tmp_path / "docs/events.md").write_text("older")
    assert stale(tmp_path) == ["docs/events.md"]


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()
    references: list[str] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            references.extend(value for key, value in node.items() if key == "$ref")
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    assert len(references) > 50
    for reference in references:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_the_topic_list_says_what_the_catalogue_says() -> None:
    listed = yaml.safe_load(documents()["deploy/kafka/topics.yaml"])["topics"]
    assert [(one["name"], one["partitions"], one["owner"]) for one in listed] == [
        (topic.name, topic.partitions, topic.owner) for topic in CATALOG
    ]


def test_no_event_carries_a_secret_or_a_content() -> None:
    forbidden = {"token", "access_token", "refresh_token", "secret", "password", "content", "body", "text"}
    fields = {
        name for topic in CATALOG for found in schema(topic)["$defs"].values() for name in found.get("properties", {})
    }
    assert fields & forbidden == set()

"""What is stored of an observed object: clean text, hashes, and the content rendered with its parts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from hashlib import sha256

import msgspec

from libs.common.provider.sync import Observed, Part

_encoder = msgspec.msgpack.Encoder(order="deterministic")
_json = msgspec.json.Encoder(order="deterministic")


def storable(text: str) -> str:
    """Postgres holds no U+0000 and no lone surrogate; both become U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def storable_json(value: object) -> str:
    return _json.encode(value).decode().replace("\\u0000", "\\ufffd")


def seen_hash(observed: Observed) -> bytes:
    """Over everything but the parts, so that an unchanged object costs one comparison and no write."""
    fields = (
        observed.key,
        observed.type,
        observed.name,
        observed.url,
        observed.content,
        observed.content_type,
        observed.revision,
        observed.path,
        observed.metadata,
        observed.author,
        observed.changed_files,
        observed.updated_at,
    )
    return sha256(_encoder.encode(fields)).digest()


def part_hash(part: Part) -> bytes:
    return sha256(_encoder.encode(part)).digest()


def content_hash(content: str) -> str:
    return sha256(content.encode()).hexdigest()


def render(body: str, parts: Iterable[Part]) -> str:
    """The body, then one section a part in order of creation; headings inside bodies are the chunker's business."""
    ordered = sorted(parts, key=lambda part: (part.created_at, part.key))
    return "\n\n".join([body.rstrip(), *(_section(part) for part in ordered)]) if ordered else body


def _section(part: Part) -> str:
    at = part.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    author = " ".join(part.author.split())
    return f"## {author} {part.label} at {at}\n\n{part.body.strip()}"

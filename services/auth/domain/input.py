"""Which input is refused, and at which field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from libs.common.errors import InvalidInput
from libs.common.provider.manifest import Manifest
from libs.common.telemetry.masking import mask
from services.auth.domain.refusals import RedirectNotAllowed

SHORTEST_INTERVAL = 1
LONGEST_INTERVAL = 10_080  # minutes: one week
LARGEST_METADATA = 64 * 1024
LARGEST_CONFIG = 64 * 1024
LONGEST_NAME = 200
LONGEST_TOKEN = 16_384
LONGEST_URL = 2048
LONGEST_REFERENCE = 1024
MOST_RESOURCES = 200
DEEPEST = 32

_WORKSPACE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SECRET_NAME = re.compile(
    r"(^|_)(token|secret|password|passwd|passphrase|api_?key|private_?key|access_?key|credentials?|authorization|cookie)$"
)
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def check_workspace_id(text: str) -> str:
    if not _WORKSPACE.fullmatch(text):
        raise InvalidInput("a workspace id is 1 to 128 characters of A-Z a-z 0-9 . _ : -", pointer="/workspace")
    return text


def check_idempotency_key(text: str) -> str:
    if not _IDEMPOTENCY_KEY.fullmatch(text):
        raise InvalidInput("Idempotency-Key is 1 to 255 visible ASCII characters", pointer="/idempotency-key")
    return text


def check_name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidInput(f"a name is 1 to {LONGEST_NAME} printable characters", pointer="/name")
    return name


def check_interval(minutes: int) -> int:
    if not SHORTEST_INTERVAL <= minutes <= LONGEST_INTERVAL:
        raise InvalidInput(
            f"a polling interval is {SHORTEST_INTERVAL} to {LONGEST_INTERVAL} whole minutes", pointer="/pollingInterval"
        )
    return minutes


def check_features(manifest: Manifest, chosen: Sequence[str] | None) -> tuple[str, ...]:
    """The chosen features, each once; None = the enabled ones. The pointer names the first that the provider lacks."""
    if chosen is None:
        return manifest.default_features()
    known = [feature.id for feature in manifest.features]
    if not chosen:
        raise InvalidInput(
            f"choose at least one of {', '.join(known)}, or send null for the ones that are enabled by default;"
            " pause the integration to sync nothing",
            pointer="/features",
        )
    for index, feature in enumerate(chosen):
        if feature not in known:
            raise InvalidInput(
                f"{manifest.name} has no such feature; choose from {', '.join(known)}", pointer=f"/features/{index}"
            )
    return tuple(dict.fromkeys(chosen))


def check_resources(references: Sequence[str]) -> tuple[str, ...]:
    if len(references) > MOST_RESOURCES:
        raise InvalidInput(f"at most {MOST_RESOURCES} resources can be named here", pointer="/resources")
    for index, reference in enumerate(references):
        if not 1 <= len(reference.strip()) <= LONGEST_REFERENCE or not reference.isprintable():
            raise InvalidInput("not a reference to a resource", pointer=f"/resources/{index}")
    return tuple(dict.fromkeys(reference.strip() for reference in references))


def check_token(text: str) -> str:
    """Only what no provider could accept: tokens are visible ASCII (RFC 6750 section 2.1)."""
    if not 1 <= len(text) <= LONGEST_TOKEN or not text.isascii() or any(not "!" <= char <= "~" for char in text):
        raise InvalidInput(
            f"a token is 1 to {LONGEST_TOKEN} visible ASCII characters: copy it whole, without spaces and line ends",
            pointer="/token",
        )
    return text


def not_connected_by(way: str, manifest: Manifest, pointer: str) -> InvalidInput:
    return InvalidInput(
        f"{manifest.name} is connected by {' or '.join(manifest.connect)}, not by {way}", pointer=pointer
    )


def check_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidInput("not a URL", pointer="/url") from None
    plain = text.isprintable() and " " not in text and len(text) <= LONGEST_URL
    if parts.scheme not in ("http", "https") or not host or not plain:
        raise InvalidInput("not an http or https URL", pointer="/url")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("a URL must not carry a user name or password", pointer="/url")
    return text


def check_redirect_url(text: str, origins: Sequence[str]) -> str:
    """The allowed origin that the URL lies on, compared as text: what has to be parsed to be judged is refused."""
    plain = text.isascii() and text.isprintable() and not set(text) & set(" \\") and len(text) <= LONGEST_URL
    for origin in origins:
        if plain and text.startswith(origin) and text[len(origin) :][:1] in ("", "/", "?", "#"):
            return origin
    raise RedirectNotAllowed(
        "its origin is none of CORS_ALLOWED_ORIGINS, or it holds a character that a URL has to encode",
        pointer="/redirectUrl",
    )


def check_subject(text: str) -> str:
    """The application's own name for its user; opaque here."""
    if not 1 <= len(text) <= LONGEST_NAME or not text.isprintable():
        raise InvalidInput(f"a subject is 1 to {LONGEST_NAME} printable characters", pointer="/subject")
    return text


def check_metadata(metadata: dict[str, Any], token: str = "") -> dict[str, Any]:
    """At most 64 KiB as JSON; it is shown to everyone who may read the integration, so the token must not be in it."""
    _check_storable(metadata, "/metadata", LARGEST_METADATA)
    for pointer, _, value in leaves(metadata, "/metadata"):
        if token and isinstance(value, str) and token in value:
            raise InvalidInput("the token does not belong here: it would be shown to every reader", pointer=pointer)
    return metadata


def check_config(config: dict[str, Any], token: str = "") -> dict[str, Any]:
    """Refuses what looks like a secret; the provider's own schema is judged by its facet."""
    _check_storable(config, "/config", LARGEST_CONFIG)
    for pointer, name, value in leaves(config, "/config"):
        if isinstance(value, str) and _is_secret(name, value, token):
            raise InvalidInput("this looks like a secret: config is readable, send a token as token", pointer=pointer)
    return config


def _is_secret(name: str, value: str, token: str) -> bool:
    if value and _SECRET_NAME.search(_WORD_STARTS.sub("_", name).replace("-", "_").lower()):
        return True
    # The mask also hides a URL's query, which is no secret here.
    plain = value.replace("?", " ")
    return (bool(token) and token in value) or mask(plain) != plain


def _check_storable(value: dict[str, Any], pointer: str, largest: int) -> None:
    """Postgres has no place for U+0000 in text, and nothing here needs a deep tree."""
    if len(msgspec.json.encode(value)) > largest:
        raise InvalidInput(f"larger than {largest // 1024} KiB as JSON", pointer=pointer)
    for where, name, leaf in leaves(value, pointer):
        if "\0" in name or (isinstance(leaf, str) and "\0" in leaf) or where.count("/") > DEEPEST:
            raise InvalidInput(f"holds U+0000 or is nested deeper than {DEEPEST}", pointer=pointer)


def leaves(value: Any, pointer: str, name: str = "") -> Iterator[tuple[str, str, Any]]:
    """(JSON pointer, last name, value) of every node, containers too; iterative, so depth cannot exhaust the stack."""
    waiting = [(pointer, name, value)]
    while waiting:
        where, called, node = waiting.pop()
        yield where, called, node
        if isinstance(node, dict):
            waiting += [(f"{where}/{_escaped(key)}", key, child) for key, child in node.items()]
        elif isinstance(node, list):
            waiting += [(f"{where}/{index}", called, child) for index, child in enumerate(node)]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")

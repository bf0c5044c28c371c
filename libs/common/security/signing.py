"""Comparing and making signatures: always on bytes, always in constant time."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from libs.common.errors import ConfigurationError, SignatureInvalid

TOLERANCE = timedelta(minutes=5)
PREFIX = "whsec_"


def constant_time_equal(left: bytes, right: bytes) -> bool:
    """Bytes only: on text, compare_digest raises TypeError for anything outside ASCII."""
    return hmac.compare_digest(left, right)


def hmac_sha256_hex(secret: bytes, body: bytes) -> str:
    return hmac.new(secret, body, sha256).hexdigest()


def sign_webhook(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks 1.0 (symmetric, `v1`). `secret` is `whsec_` + base64."""
    stamp = str(int(at.timestamp()))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": _signature(secret, message_id, stamp, body),
    }


def verify_webhook(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Raises SignatureInvalid unless one of the live secrets made one of the signatures within five minutes of now.

    `headers` has lower-case names.
    """
    message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = [part.encode("utf-8", "replace") for part in headers.get("webhook-signature", "").split(" ") if part]
    if not message_id or not _is_recent(stamp, now):
        raise SignatureInvalid
    wanted = [_signature(secret, message_id, stamp, body).encode() for secret in secrets]
    matches = [constant_time_equal(one, other) for one in given for other in wanted]
    if not any(matches):
        raise SignatureInvalid


def _signature(secret: str, message_id: str, stamp: str, body: bytes) -> str:
    signed = b".".join([message_id.encode("utf-8", "replace"), stamp.encode(), body])
    return "v1," + b64encode(hmac.new(_key(secret), signed, sha256).digest()).decode()


def _key(secret: str) -> bytes:
    try:
        return b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ConfigurationError("a webhook secret is not base64") from None


def _is_recent(stamp: str, now: datetime) -> bool:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    return abs(now.timestamp() - int(stamp)) <= TOLERANCE.total_seconds()

"""Signatures: the published vector of Standard Webhooks, and everything that must not pass."""

from __future__ import annotations

import pickle
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from libs.common.errors import ConfigurationError, SignatureInvalid
from libs.common.security.secrets import Secret
from libs.common.security.signing import constant_time_equal, hmac_sha256_hex, sign_webhook, verify_webhook

# The example of the Standard Webhooks specification and of its reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"webhook-id": MESSAGE, "webhook-timestamp": "1614265330", "webhook-signature": SIGNATURE}
OTHER = "whsec_" + b64encode(b"another secret of 24 byt").decode()


def test_signing_gives_the_published_vector() -> None:
    assert sign_webhook(SECRET, MESSAGE, AT, BODY) == HEADERS


@pytest.mark.parametrize("secrets", [[SECRET], [OTHER, SECRET], [SECRET.removeprefix("whsec_")]])
def test_any_live_secret_verifies(secrets: list[str]) -> None:
    verify_webhook(secrets, HEADERS, BODY, now=AT)


def test_one_of_several_signatures_is_enough() -> None:
    verify_webhook([SECRET], HEADERS | {"webhook-signature": f"v1,AAAA v2,x {SIGNATURE}"}, BODY, now=AT)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": ""},
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": "-1614265330"},
        {"webhook-timestamp": "1614265330.0"},
        {"webhook-timestamp": "١٦١٤٢٦٥٣٣٠"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": SIGNATURE[:-2]},
        {"webhook-signature": SIGNATURE.upper()},
        {"webhook-signature": SIGNATURE.replace("v1", "v2")},
        {"webhook-signature": SIGNATURE.replace("v1,", "")},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "v1,\ud800"},
    ],
)
def test_changed_header_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid):
        verify_webhook([SECRET], HEADERS | change, BODY, now=AT)


@pytest.mark.parametrize("body", [b"", BODY + b" ", b'{"test":2432232314}'])
def test_changed_body_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        verify_webhook([SECRET], HEADERS, body, now=AT)


@pytest.mark.parametrize(("seconds", "accepted"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_replay_ends_after_five_minutes(seconds: int, accepted: bool) -> None:
    now = AT + timedelta(seconds=seconds)
    if accepted:
        verify_webhook([SECRET], HEADERS, BODY, now=now)
    else:
        with pytest.raises(SignatureInvalid):
            verify_webhook([SECRET], HEADERS, BODY, now=now)


def test_no_live_secret_verifies_nothing() -> None:
    with pytest.raises(SignatureInvalid):
        verify_webhook([], HEADERS, BODY, now=AT)


def test_secret_that_is_not_base64_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError) as caught:
        sign_webhook("whsec_not base64!", MESSAGE, AT, BODY)
    assert "not base64!" not in caught.value.detail


def test_hmac_gives_the_rfc_4231_vector() -> None:
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac_sha256_hex(b"Jefe", b"what do ya want for nothing?") == expected


def test_comparison_is_of_bytes() -> None:
    assert constant_time_equal("é".encode(), "é".encode())
    assert not constant_time_equal(b"a", b"b")


def test_secret_hides_wherever_it_is_shown() -> None:
    secret = Secret("canary")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{secret:>20}", str([secret]), str({"a": secret})]
    assert not any("canary" in text for text in shown)
    assert secret.reveal() == "canary"


def test_secret_cannot_be_encoded_or_pickled() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode({"secret": Secret("canary")})
    with pytest.raises(TypeError):
        pickle.dumps(Secret("canary"))


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert not Secret("")

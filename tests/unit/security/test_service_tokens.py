"""Service tokens and everything that looks like one (RELIABILITY A13): accepted is exactly what we issue."""

from __future__ import annotations

import hmac
import json
import os
import stat
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from libs.common.clock import FixedClock
from libs.common.errors import ConfigurationError, Unauthenticated
from libs.common.security.principals import ServiceTokenResolver, ServiceTokens, make_service_keys

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
HEADER = {"alg": "Ed25519", "typ": "sluice-service+jwt"}
CLAIMS = {"iss": "sync", "aud": "auth", "iat": AT, "exp": AT + 60, "jti": "j"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    make_service_keys(directory, ["auth", "sync", "chunker"])
    return directory


@pytest.fixture
def verifier(keys: Path) -> ServiceTokens:
    return ServiceTokens("auth", keys, FixedClock(NOW))


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(keys: Path, header: dict[str, Any] | None = None, claims: Any = None, by: str = "sync") -> str:
    """Properly signed with a service's own key, whatever header and claims say."""
    key = OKPKey.import_key((keys / f"{by}.private.pem").read_bytes())
    first, second = part(HEADER if header is None else header), part(CLAIMS if claims is None else claims)
    private = load_pem_private_key(key.as_pem(private=True), None)
    return f"{first}.{second}.{part(private.sign(f'{first}.{second}'.encode()))}"  # type: ignore[union-attr,call-arg]


def hs256(keys: Path) -> str:
    """By hand: the library refuses to make it."""
    text = f"{part({'alg': 'HS256', 'typ': HEADER['typ']})}.{part(CLAIMS)}"
    mac = hmac.new((keys / "sync.public.pem").read_bytes(), text.encode(), "sha256")
    return f"{text}.{part(mac.digest())}"


def with_key(key: Any, alg: str) -> str:
    return jws.serialize_compact({"alg": alg, "typ": HEADER["typ"]}, json.dumps(CLAIMS).encode(), key, [alg])


def without(claim: str) -> dict[str, object]:
    return {name: value for name, value in CLAIMS.items() if name != claim}


def cut(keys: Path, how: Callable[[list[str]], list[str]]) -> str:
    return ".".join(how(signed(keys).split(".")))


REFUSED: dict[str, Callable[[Path], str]] = {
    "empty": lambda k: "",
    "dots": lambda k: "..",
    "not a token": lambda k: "slk_some_api_key",
    "not ascii": lambda k: "é.é.é",
    "oversized": lambda k: signed(k, claims=CLAIMS | {"jti": "x" * 4000}),
    "none": lambda k: f"{part({'alg': 'none', 'typ': HEADER['typ']})}.{part(CLAIMS)}.",
    "None": lambda k: f"{part({'alg': 'None', 'typ': HEADER['typ']})}.{part(CLAIMS)}.",
    "nOnE with signature": lambda k: f"{part({'alg': 'nOnE', 'typ': HEADER['typ']})}.{part(CLAIMS)}.AAAA",
    "our header, no signature": lambda k: cut(k, lambda p: [p[0], p[1], ""]),
    "HS256 with the public key": hs256,
    "HS256 with the empty key": lambda k: with_key(OctKey.import_key(b"\0" * 32), "HS256"),
    "RS256": lambda k: with_key(RSAKey.generate_key(2048), "RS256"),
    "ES256": lambda k: with_key(ECKey.generate_key("P-256"), "ES256"),
    "unknown Ed25519 key": lambda k: with_key(OKPKey.generate_key("Ed25519"), "Ed25519"),
    "EdDSA, the older name": lambda k: signed(k, HEADER | {"alg": "EdDSA"}),
    "no alg": lambda k: signed(k, {"typ": HEADER["typ"]}),
    "alg is a list": lambda k: signed(k, HEADER | {"alg": ["Ed25519"]}),
    "alg is null": lambda k: signed(k, HEADER | {"alg": None}),
    "crit unknown": lambda k: signed(k, HEADER | {"crit": ["x"], "x": 1}),
    "crit empty": lambda k: signed(k, HEADER | {"crit": []}),
    "b64 false": lambda k: signed(k, HEADER | {"crit": ["b64"], "b64": False}),
    "jku": lambda k: signed(k, HEADER | {"jku": "https://evil.example/jwks"}),
    "x5u": lambda k: signed(k, HEADER | {"x5u": "https://evil.example/x"}),
    "x5c": lambda k: signed(k, HEADER | {"x5c": ["AAAA"]}),
    "jwk": lambda k: signed(k, HEADER | {"jwk": OKPKey.generate_key("Ed25519").as_dict(private=False)}),
    "kid": lambda k: signed(k, HEADER | {"kid": "sync"}),
    "kid with a path": lambda k: signed(k, HEADER | {"kid": "../../../../dev/null"}),
    "kid with SQL": lambda k: signed(k, HEADER | {"kid": "' OR 1=1 --"}),
    "cty": lambda k: signed(k, HEADER | {"cty": "JWT"}),
    "typ JWT": lambda k: signed(k, HEADER | {"typ": "JWT"}),
    "typ in capitals": lambda k: signed(k, HEADER | {"typ": "SLUICE-SERVICE+JWT"}),
    "no typ": lambda k: signed(k, {"alg": "Ed25519"}),
    "header is a list": lambda k: signed(k, []),  # type: ignore[arg-type]
    "aud of another": lambda k: signed(k, claims=CLAIMS | {"aud": "chunker"}),
    "aud as a list": lambda k: signed(k, claims=CLAIMS | {"aud": ["auth"]}),
    "aud is empty": lambda k: signed(k, claims=CLAIMS | {"aud": ""}),
    "iss of another service": lambda k: signed(k, claims=CLAIMS | {"iss": "chunker"}),
    "iss unknown": lambda k: signed(k, claims=CLAIMS | {"iss": "stranger"}),
    "iss with a path": lambda k: signed(k, claims=CLAIMS | {"iss": "../sync"}),
    "iss is a path to a key": lambda k: signed(k, claims=CLAIMS | {"iss": str(k / "sync")}),
    "expired": lambda k: signed(k, claims=CLAIMS | {"iat": AT - 66, "exp": AT - 6}),
    "from the future": lambda k: signed(k, claims=CLAIMS | {"iat": AT + 6, "exp": AT + 60}),
    "lives too long": lambda k: signed(k, claims=CLAIMS | {"exp": AT + 61}),
    "ends before it begins": lambda k: signed(k, claims=CLAIMS | {"iat": AT + 2, "exp": AT + 1}),
    "exp is text": lambda k: signed(k, claims=CLAIMS | {"exp": str(AT + 60)}),
    "exp is a fraction": lambda k: signed(k, claims=CLAIMS | {"exp": AT + 59.5}),
    "exp is huge": lambda k: signed(k, claims=CLAIMS | {"exp": 10**40}),
    "an unknown claim": lambda k: signed(k, claims=CLAIMS | {"scope": "admin"}),
    "a repeated claim": lambda k: signed(k, claims=json.dumps(CLAIMS)[:-1].encode() + b', "aud": "auth"}'),
    "claims are not JSON": lambda k: signed(k, claims=b"{"),
    "claims are NaN": lambda k: signed(k, claims=b'{"iss": NaN}'),
    "claims are deep": lambda k: signed(k, claims=b"[" * 1400),
    "claims are a list": lambda k: signed(k, claims=[]),
    "another payload": lambda k: cut(k, lambda p: [p[0], part(CLAIMS | {"jti": "k"}), p[2]]),
    "a changed signature": lambda k: cut(k, lambda p: [p[0], p[1], ("A" if p[2][0] != "A" else "B") + p[2][1:]]),
    "a cut signature": lambda k: cut(k, lambda p: [p[0], p[1], p[2][:-4]]),
    "five parts": lambda k: signed(k) + ".a.b",
    "trailing newline": lambda k: signed(k) + "\n",
    **{f"no {name}": (lambda k, name=name: signed(k, claims=without(name))) for name in CLAIMS},  # type: ignore[misc]
}


@pytest.mark.parametrize("name", REFUSED)
def test_forged_token_is_unauthenticated(verifier: ServiceTokens, keys: Path, name: str) -> None:
    token = REFUSED[name](keys)
    with pytest.raises(Unauthenticated):
        verifier.verify(token, "auth")


def test_control_shows_that_the_forger_can_sign(verifier: ServiceTokens, keys: Path) -> None:
    assert verifier.verify(signed(keys), "auth").service == "sync"


def test_issued_token_names_its_service(verifier: ServiceTokens, keys: Path) -> None:
    found = verifier.verify(ServiceTokens("sync", keys, FixedClock(NOW)).issue("auth"), "auth")
    assert (found.subject, found.service, found.method, found.workspace) == ("service:sync", "sync", "service", None)
    assert found.scopes == frozenset({"internal"})


def test_token_ends_with_its_minute(keys: Path) -> None:
    clock = FixedClock(NOW)
    token = ServiceTokens("sync", keys, clock).issue("auth")
    verifier = ServiceTokens("auth", keys, clock)
    clock.move(timedelta(seconds=64))
    verifier.verify(token, "auth")
    clock.move(timedelta(seconds=2))
    with pytest.raises(Unauthenticated):
        verifier.verify(token, "auth")


def test_two_tokens_differ(keys: Path) -> None:
    tokens = ServiceTokens("sync", keys, FixedClock(NOW))
    assert tokens.issue("auth") != tokens.issue("auth")


def test_resolver_wants_this_service_as_the_audience(verifier: ServiceTokens, keys: Path) -> None:
    sync = ServiceTokens("sync", keys, FixedClock(NOW))
    resolver = ServiceTokenResolver(verifier)
    assert resolver.resolve(f"Bearer {sync.issue('auth')}").service == "sync"
    for authorization in (None, f"Bearer {sync.issue('chunker')}", sync.issue("auth")):
        with pytest.raises(Unauthenticated):
            resolver.resolve(authorization)


def test_private_keys_are_for_their_owner_alone(keys: Path) -> None:
    assert stat.S_IMODE(os.stat(keys / "auth.private.pem").st_mode) == 0o600


def test_keys_are_kept_when_made_again(tmp_path: Path) -> None:
    make_service_keys(tmp_path, ["auth"])
    before = (tmp_path / "auth.private.pem").read_bytes()
    make_service_keys(tmp_path, ["auth", "sync"])
    assert (tmp_path / "auth.private.pem").read_bytes() == before
    assert (tmp_path / "sync.public.pem").exists()


def test_missing_signing_key_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        ServiceTokens("auth", tmp_path).issue("sync")

"""What every provider promises, checked from its manifest alone: a new folder is tested before it has a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from libs.common.errors import ConfigurationError, InvalidInput, MalformedPayload, SignatureInvalid
from libs.common.provider.auth import AuthFacet, ClientRegistration
from libs.common.provider.chunks import ChunkFacet, SourceText
from libs.common.provider.manifest import Manifest
from libs.common.provider.quality import read_quality
from libs.common.provider.sync import SyncFacet
from libs.common.provider.webhooks import RawWebhook, RedeliveringFacet, WebhookFacet
from libs.common.security.secrets import Secret

SECRET = Secret("conformance-secret")
UNSIGNED = RawWebhook(headers={"content-type": "application/json"}, body=b"{}")


def manifest_faults(manifest: Manifest, folder: Path) -> Iterator[str]:
    """What a reader of the catalogue would stumble over."""
    features = [feature.id for feature in manifest.features]
    if len(set(features)) != len(features):
        yield "two features share an id"
    if manifest.status == "available" and not manifest.default_features():
        yield "no feature is on by default: a first connect would sync nothing"
    if any(not feature.streams or not feature.source_types for feature in manifest.features):
        yield "a feature without streams or source types"
    if not set(manifest.windowed) <= set(manifest.streams_of(tuple(features))):
        yield "a window on a stream that no feature has"
    if "oauth" in manifest.connect and manifest.oauth is None:
        yield "connects by oauth but has no [oauth]"
    if manifest.delivery == "push" and manifest.webhook is None:
        yield "delivers by push but has no [webhook]"
    if not (folder / manifest.icon).read_bytes().startswith(b"<svg"):
        yield "its icon is no SVG in its folder"
    if not (folder / "README.md").is_file():
        yield "no README.md that says how an operator registers the app"


def quality_faults(folder: Path) -> Iterator[str]:
    """Each rule has its test or its reason; whether the tests are there is for the house to see."""
    try:
        quality = read_quality(folder)
    except ConfigurationError as error:
        yield error.detail
        return
    faults = (rule.fault() for rule in quality.rules())
    yield from (fault for fault in faults if fault)
    if not any(rule.test for rule in quality.rules()):
        yield "no rule has a test"


def auth_faults(facet: AuthFacet) -> Iterator[str]:
    yield from _accepts("a config key that no one knows", lambda: facet.validate_config({"no_such_setting": 1}))
    yield from _accepts("a secret in the config", lambda: facet.validate_config({"token": "s3cret"}))
    yield from _accepts("a token with a line break", lambda: facet.validate_token("abc\r\nX: y"))


def _accepts(what: str, call: object) -> Iterator[str]:
    try:
        call()  # type: ignore[operator]
    except InvalidInput:
        return
    yield f"accepts {what}"


def consent_faults(facet: AuthFacet, manifest: Manifest) -> Iterator[str]:
    """What the browser is sent to: byte for byte, or the token request that follows would be refused."""
    assert manifest.oauth is not None  # noqa: S101 - the caller asks only providers that connect by oauth
    page = "https://app.example/auth-callback?provider=X&a=%20b"
    registration = ClientRegistration(
        client_id="id", client_secret=SECRET.reveal(), redirect_uri=page, base_url="https://as.example", api_url=""
    )
    url = facet.authorize_url(registration, state="a.b-_", scopes=manifest.oauth.scopes, code_challenge="ch-_")
    parts, asked = urlsplit(url), parse_qs(urlsplit(url).query)
    if f"{parts.scheme}://{parts.netloc}" != "https://as.example" or SECRET.reveal() in url:
        yield "sends the browser elsewhere, or tells it the secret"
    wanted = {"client_id": "id", "redirect_uri": page, "state": "a.b-_", "code_challenge": "ch-_"}
    for name, value in {**wanted, "code_challenge_method": "S256"}.items():
        if asked.get(name) != [value]:
            yield f"sends {name} as {asked.get(name)}"
    if asked.get("scope") != [manifest.oauth.scope_separator.join(manifest.oauth.scopes)]:
        yield f"asks for {asked.get('scope')}"


def webhook_faults(facet: WebhookFacet, manifest: Manifest) -> Iterator[str]:
    """Nothing unsigned passes, nothing unreadable raises anything but MalformedPayload."""
    assert manifest.webhook is not None  # noqa: S101 - the caller asks only providers with a scheme
    header = manifest.webhook.signature_header
    if (manifest.webhook.missed_hours > 0) is not isinstance(facet, RedeliveringFacet):
        yield "its manifest's missed_hours and its verbs `missed` and `redeliver` do not go together"
    for value in (None, "", "sha256=", "sha256=00", "sha1=00", "é", "sha256=" + "0" * 64):
        headers = {} if value is None else {header: value}
        hook = RawWebhook(headers=headers, body=UNSIGNED.body)
        for secrets in ([], [SECRET]):
            if not _refuses_signature(facet, hook, secrets):
                yield f"takes signature {value!r} with {len(secrets)} secrets"
    for body in (b"", b"\xff\xfe", b"[1", b"null", b'"text"'):
        if not _refuses_body(facet, RawWebhook(headers={}, body=body)):
            yield f"parses {body!r}"


def _refuses_signature(facet: WebhookFacet, hook: RawWebhook, secrets: list[Secret]) -> bool:
    try:
        facet.verify(hook, secrets)
    except SignatureInvalid:
        return True
    return False


def _refuses_body(facet: WebhookFacet, hook: RawWebhook) -> bool:
    try:
        facet.parse(hook)
    except MalformedPayload:
        return True
    return False


def chunk_faults(facet: ChunkFacet, manifest: Manifest) -> Iterator[str]:
    for source_type in {kind for feature in manifest.features for kind in feature.source_types}:
        source = SourceText(type=source_type, name="name", path="a/b.md", content="# T\n", content_type="text/markdown")
        first, again = facet.layout(source), facet.layout(source)
        if first != again:
            yield f"lays out a {source_type} differently each time"
        if not first.title:
            yield f"a {source_type} has no title"


def sync_faults(facet: SyncFacet) -> Iterator[str]:
    for verb in ("discover", "find", "pull", "fetch", "key_stream"):
        if not callable(getattr(facet, verb, None)):
            yield f"has no {verb}"

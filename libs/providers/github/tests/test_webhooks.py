"""GitHub's webhooks facet against the published vectors, recorded payloads and a scripted hooks API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from libs.common.errors import (
    AuthExpired,
    LostSight,
    MalformedPayload,
    ProviderContractBroken,
    ProviderUnavailable,
    RateLimited,
    ResourceGone,
    SignatureInvalid,
)
from libs.common.events import Hint
from libs.common.provider.client import Budget, HttpAnswer
from libs.common.provider.sync import Resource
from libs.common.provider.webhooks import Delivery, RawWebhook
from libs.common.security.secrets import Secret
from libs.common.security.signing import hmac_sha256_hex
from libs.providers.github.webhooks import EVENTS, FACET, HANDLED, IGNORED

RECORDED = Path(__file__).parents[1] / "fixtures" / "webhooks"
SECRET = Secret("It's a Secret to Everybody")
BODY = b"Hello, World!"
PUBLISHED = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
URL = "https://sluice.example/v1/hooks/github/abc"
REPOSITORY = Resource(kind="repository", external_id="1", name="octo/hello", url="https://github.com/octo/hello")


def signed(signature: str | None, body: bytes = BODY) -> RawWebhook:
    return RawWebhook(headers={} if signature is None else {"x-hub-signature-256": signature}, body=body)


def parsed(event: str, payload: dict[str, Any] | bytes, **headers: str) -> Delivery:
    body = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    sent = {"x-github-event": event, "x-github-delivery": "guid-1", **headers}
    return FACET.parse(RawWebhook(headers=sent, body=body))


def recorded(name: str) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.json.decode((RECORDED / f"{name}.json").read_bytes())
    return payload


# --- verify


def test_published_vector_is_accepted() -> None:
    FACET.verify(signed(PUBLISHED), [SECRET])


def test_form_body_is_verified_over_its_raw_bytes() -> None:
    """Recomputed from the documented scheme: the signature covers the urlencoded body, not the JSON in it."""
    signature = "sha256=a16c5f5568ae8c26123524f18c977c1a794f7cc69cebd7f2742856f8f136b37a"
    FACET.verify(signed(signature, b"payload=%7B%22zen%22%3A%22x%22%7D"), [Secret("s3cret")])


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(None, id="no header"),
        pytest.param("", id="empty"),
        pytest.param("sha256=", id="prefix alone"),
        pytest.param(PUBLISHED[:-1], id="cut"),
        pytest.param(PUBLISHED + "0", id="longer"),
        pytest.param(PUBLISHED.upper(), id="upper case"),
        pytest.param("sha256=" + PUBLISHED[7:].upper(), id="upper-case digest"),
        pytest.param(PUBLISHED.removeprefix("sha256="), id="no prefix"),
        pytest.param("sha1=" + PUBLISHED[7:], id="another scheme"),
        pytest.param(PUBLISHED[:-1] + "é", id="non-ASCII"),
        pytest.param(PUBLISHED[:-1] + "\udc80", id="lone surrogate"),
        pytest.param(f" {PUBLISHED}", id="leading space"),
    ],
)
def test_anything_but_the_exact_signature_is_refused(signature: str | None) -> None:
    with pytest.raises(SignatureInvalid):
        FACET.verify(signed(signature), [SECRET])


@pytest.mark.parametrize("body", [b"Hello, World", b"Hello, World!\n", b"hello, World!", b""])
def test_changed_body_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        FACET.verify(signed(PUBLISHED, body), [SECRET])


def test_any_of_several_live_secrets_is_accepted() -> None:
    FACET.verify(signed(PUBLISHED), [Secret("the new one"), SECRET])


@pytest.mark.parametrize("secrets", [[], [Secret("another")], [Secret("")]])
def test_other_secrets_and_none_are_refused(secrets: list[Secret]) -> None:
    with pytest.raises(SignatureInvalid):
        FACET.verify(signed("sha256=" + hmac_sha256_hex(b"", BODY)), secrets)


# --- parse

CASES = {
    "issues__opened": ("issues", "issues", "issue:"),
    "issues__deleted": ("issues", "issues", "issue:"),
    "issues__transferred": ("issues", "issues", "issue:"),
    "issue_comment__created": ("issue_comment", "issues", "issue:"),
    "pull_request__opened": ("pull_request", "issues", "pull_request:"),
    "pull_request__synchronize": ("pull_request", "issues", "pull_request:"),
    "pull_request_review__submitted": ("pull_request_review", "issues", "pull_request:"),
    "pull_request_review_comment__created": ("pull_request_review_comment", "issues", "pull_request:"),
}


@pytest.mark.parametrize("name", CASES)
def test_recorded_object_event_hints_at_its_object(name: str) -> None:
    event, stream, prefix = CASES[name]
    payload = recorded(name)
    number = (payload.get("pull_request") or payload["issue"])["number"]
    found = parsed(event, payload)
    wanted = Hint(
        resource_external_id=str(payload["repository"]["id"]), stream=stream, keys=(f"{prefix}{number}",),
        type="issue" if prefix == "issue:" else "pull_request",
    )  # fmt: skip
    assert (found.outcome, found.hints, found.delivery_key) == ("handled", (wanted,), "guid-1")


def test_comment_on_a_pull_request_hints_at_the_pull_request() -> None:
    payload = recorded("issue_comment__created")
    payload["issue"]["pull_request"] = {"url": "https://api.github.com/repos/octo/hello/pulls/1"}
    assert parsed("issue_comment", payload).hints[0].keys == (f"pull_request:{payload['issue']['number']}",)


def push(ref: str) -> dict[str, Any]:
    return {
        "ref": ref,
        "before": "0" * 40,
        "after": "1" * 40,
        "pusher": {},
        "repository": {"id": 7, "default_branch": "main"},
    }


def test_push_to_the_default_branch_hints_at_the_code_stream() -> None:
    assert parsed("push", push("refs/heads/main")).hints == (Hint(resource_external_id="7", stream="code"),)


@pytest.mark.parametrize("ref", ["refs/heads/other", "refs/tags/main", "refs/heads/main/2", "main"])
def test_push_elsewhere_is_ignored(ref: str) -> None:
    found = parsed("push", push(ref))
    assert (found.outcome, found.hints) == ("ignored", ())


@pytest.mark.parametrize("name", ["push__branch_created", "push__tag_deleted"])
def test_recorded_push_is_read(name: str) -> None:
    payload = recorded(name)
    default = payload["ref"] == f"refs/heads/{payload['repository']['default_branch']}"
    assert parsed("push", payload).outcome == ("handled" if default else "ignored")


def test_changed_default_branch_hints_at_repository_and_code() -> None:
    hints = parsed("repository", recorded("repository__edited_default_branch")).hints
    assert [hint.stream for hint in hints] == ["repository", "code"]


def test_renamed_repository_hints_at_the_repository_stream_by_its_id() -> None:
    payload = recorded("repository__renamed")
    wanted = Hint(resource_external_id=str(payload["repository"]["id"]), stream="repository")
    assert parsed("repository", payload).hints == (wanted,)


@pytest.mark.parametrize("name", ["ping__repository", "create__tag", "delete__tag"])
def test_known_event_of_no_interest_is_ignored(name: str) -> None:
    assert parsed(name.split("__")[0], recorded(name)).outcome == "ignored"


def test_event_in_no_list_is_unknown() -> None:
    assert parsed("telepathy", {"action": "sent"}).outcome == "unknown"


def test_lists_have_nothing_in_common() -> None:
    assert not IGNORED & set(HANDLED)


def test_every_recorded_payload_is_in_a_list() -> None:
    outcomes = {
        path.stem: parsed(path.stem.split("__")[0], path.read_bytes()).outcome for path in RECORDED.glob("*.json")
    }
    assert outcomes
    assert {name for name, outcome in outcomes.items() if outcome == "unknown"} == set()


@pytest.mark.parametrize("event", sorted(set(HANDLED) - {"issue_comment"}))
def test_body_under_another_events_name_is_unknown(event: str) -> None:
    """The name is not signed: a captured comment must not pass as a push."""
    found = parsed(event, recorded("issue_comment__created"))
    assert found.outcome == "unknown"
    assert found.hints == ()


def test_payload_that_no_longer_fits_is_unknown() -> None:
    payload = recorded("issues__opened")
    payload["issue"]["number"] = "twelve"
    assert parsed("issues", payload).outcome == "unknown"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b'{"a":"\xff"}', b'{"a":' * 100_000, b"payload=%7B%7D"]
)
@pytest.mark.parametrize("event", ["issues", "ping", "telepathy"])
def test_bytes_that_are_no_json_object_are_malformed(event: str, body: bytes) -> None:
    with pytest.raises(MalformedPayload):
        parsed(event, body)


@pytest.mark.parametrize("missing", ["x-github-event", "x-github-delivery"])
def test_missing_header_is_malformed(missing: str) -> None:
    with pytest.raises(MalformedPayload, match=missing):
        parsed("ping", {}, **{missing: ""})


def test_form_body_is_read_like_its_json() -> None:
    payload = recorded("issues__opened")
    form = urlencode({"payload": msgspec.json.encode(payload).decode()}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert parsed("issues", form, **headers).hints == parsed("issues", payload).hints


@pytest.mark.parametrize(
    "form", [b"", b"other=1", b"payload=", b"payload={}&payload={}", b"payload=\xff", b"a=1&" * 99]
)
def test_form_without_one_payload_is_malformed(form: bytes) -> None:
    with pytest.raises(MalformedPayload):
        parsed("issues", form, **{"content-type": "application/x-www-form-urlencoded"})


# --- register


class HooksApi:
    """Answers of a repository's hooks API in the documented shapes; keeps what was asked."""

    api_url = "https://api.github.com"
    base_url = "https://github.com"

    def __init__(self, *answers: tuple[int, Any], headers: Mapping[str, str] | None = None) -> None:
        self.answers = list(answers)
        self.headers = headers or {}
        self.asked: list[tuple[str, str, Any]] = []

    async def request(self, method: str, url: str, *, body: bytes | None = None, **_: Any) -> HttpAnswer:
        self.asked.append((method, url, None if body is None else msgspec.json.decode(body)))
        status, answer = self.answers.pop(0)
        link = answer.pop("link", "") if isinstance(answer, dict) else ""
        found = answer.get("items", answer) if isinstance(answer, dict) else answer
        headers = {**self.headers, **({"link": link} if link else {})}
        return HttpAnswer(status=status, headers=headers, body=msgspec.json.encode(found), url=url)

    def note_budget(self, budget: Budget) -> None:
        self.budget = budget

    def note_limit(self, until: datetime) -> None:
        """Nobody else calls with this account."""


EXISTS = {"message": "Validation Failed", "errors": [{"resource": "Hook", "code": "custom"}]}


async def test_hook_is_made_with_json_and_every_handled_event() -> None:
    api = HooksApi((201, {"id": 12, "config": {"url": URL}}))
    made = await FACET.register(api, REPOSITORY, URL, Secret("s"))
    config = {"url": URL, "content_type": "json", "secret": "s", "insecure_ssl": "0"}
    body = {"name": "web", "active": True, "events": list(EVENTS), "config": config}
    assert made.external_id == "12"
    assert api.asked == [("POST", "/repositories/1/hooks", body)]


async def test_existing_hook_gets_the_present_secret() -> None:
    other = {"id": 1, "config": {"url": "https://other.example"}}
    pages = {"items": [other], "link": '<https://api.github.com/page2>; rel="next"'}
    ours = {"id": 9, "config": {"url": URL}}
    api = HooksApi((422, EXISTS), (200, pages), (200, [ours]), (200, ours))
    made = await FACET.register(api, REPOSITORY, URL, Secret("new"))
    assert made.external_id == "9"
    assert [asked[:2] for asked in api.asked[1:]] == [
        ("GET", "/repositories/1/hooks?per_page=100"),
        ("GET", "https://api.github.com/page2"),
        ("PATCH", "/repositories/1/hooks/9"),
    ]
    assert api.asked[-1][2]["config"]["secret"] == "new"


async def test_refusal_without_a_hook_of_ours_is_a_broken_contract() -> None:
    api = HooksApi((422, {"message": "The hook limit is reached"}), (200, []))
    with pytest.raises(ProviderContractBroken, match="hook limit"):
        await FACET.register(api, REPOSITORY, URL, Secret("s"))


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthExpired), (403, LostSight), (404, LostSight), (429, RateLimited), (503, ProviderUnavailable)],
)
async def test_refused_registration_says_what_to_do(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await FACET.register(HooksApi((status, {"message": "no"})), REPOSITORY, URL, Secret("s"))


@pytest.mark.parametrize("answers", [[(204, {})], [(404, {}), (404, {})]])
async def test_removed_and_absent_hook_are_both_success(answers: list[tuple[int, Any]]) -> None:
    api = HooksApi(*answers)
    await FACET.unregister(api, REPOSITORY, "12")
    assert {asked[1:] for asked in api.asked} == {("/repositories/1/hooks/12", None)}


async def test_hook_that_the_token_may_not_delete_is_no_success() -> None:
    """docs, "Scopes for OAuth apps": write:repo_hook reads and edits hooks, admin:repo_hook alone deletes them."""
    api = HooksApi((404, {}), (200, {"id": 12}))
    with pytest.raises(LostSight, match="may not delete"):
        await FACET.unregister(api, REPOSITORY, "12")


async def test_refused_removal_is_no_success() -> None:
    with pytest.raises(ProviderUnavailable):
        await FACET.unregister(HooksApi((502, {})), REPOSITORY, "12")


# --- missed deliveries

SINCE = datetime(2026, 11, 23, 12, tzinfo=UTC)


def attempt(number: int, guid: str, code: int, *, at: str = "2026-11-23T13:00:00Z", status: str = "") -> dict[str, Any]:
    return {"id": number, "guid": guid, "delivered_at": at, "status_code": code, "status": status, "event": "issues"}


async def missed_of(*answers: tuple[int, Any]) -> tuple[list[tuple[str, str]], HooksApi]:
    api = HooksApi(*answers)
    found = await FACET.missed(api, REPOSITORY, "12", SINCE)
    return [(one.delivery_key, one.attempt) for one in found], api


async def test_missed_are_those_of_which_no_attempt_got_through() -> None:
    page = [
        attempt(9, "again", 200), attempt(8, "twice", 502), attempt(7, "under-way", 0, status="pending"),
        attempt(6, "odd", 0, status="unknown"), attempt(5, "twice", 500), attempt(4, "again", 500),
        attempt(3, "moved", 302),
    ]  # fmt: skip
    found, api = await missed_of((200, page))
    assert found == [("twice", "8"), ("odd", "6")]
    assert [one[:2] for one in api.asked] == [("GET", "/repositories/1/hooks/12/deliveries?per_page=100")]


async def test_attempts_are_read_by_cursor_back_to_the_last_look_and_no_further() -> None:
    second = "https://api.github.com/repositories/1/hooks/12/deliveries?cursor=v1_5"
    link = f'<{second}>; rel="next"'
    old = "2026-11-23T11:59:59Z"
    pages = [
        (200, {"items": [attempt(6, "a", 502)], "link": link}),
        (200, {"items": [attempt(5, "b", 502), attempt(4, "old", 502, at=old)], "link": link}),
    ]
    found, api = await missed_of(*pages)
    assert found == [("a", "6"), ("b", "5")]
    assert [one[1] for one in api.asked][1:] == [second]


async def test_hook_that_was_never_tried_has_missed_nothing() -> None:
    assert (await missed_of((200, [])))[0] == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthExpired), (403, LostSight), (404, LostSight), (429, RateLimited), (503, ProviderUnavailable)],
)
async def test_deliveries_that_cannot_be_listed_are_never_an_empty_list(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await missed_of((status, {"message": "no"}))


async def test_delivery_is_asked_for_by_the_number_of_its_attempt() -> None:
    api = HooksApi((202, {}))
    await FACET.redeliver(api, REPOSITORY, "12", "8")
    assert api.asked == [("POST", "/repositories/1/hooks/12/deliveries/8/attempts", None)]


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, ResourceGone), (403, LostSight), (422, ProviderContractBroken), (429, RateLimited)],
)
async def test_refused_redelivery_says_what_to_do(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await FACET.redeliver(HooksApi((status, {"message": "no"})), REPOSITORY, "12", "8")

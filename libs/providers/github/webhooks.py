"""GitHub's deliveries: proved on raw bytes, read only as "look again", and the repository hook that sends them.

Source: docs "Validating webhook deliveries", "Webhook events and payloads", REST "Repository webhooks".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qs

import msgspec

from libs.common.errors import LostSight, MalformedPayload, ProviderContractBroken, SignatureInvalid
from libs.common.events.source import SourceType
from libs.common.events.webhook import Hint
from libs.common.provider.client import HttpAnswer, ProviderHttp
from libs.common.provider.sync import Resource
from libs.common.provider.webhooks import Delivery, Missed, RawWebhook, RedeliveringFacet, Subscription
from libs.common.security.secrets import Secret
from libs.common.security.signing import constant_time_equal, hmac_sha256_hex
from libs.providers.github import missed
from libs.providers.github.client import HEADERS, WRITE, check_hook, decode, get, next_link

SIGNATURE = "x-hub-signature-256"
DELIVERY = "x-github-delivery"
EVENT = "x-github-event"
FORM = "application/x-www-form-urlencoded"
BRANCH = "refs/heads/"
MISFIT = "the body does not fit the event"

Outcome = Literal["handled", "ignored", "unknown"]
RepositoryAction = Literal[
    "created", "deleted", "archived", "unarchived", "edited", "renamed", "transferred", "publicized", "privatized"
]


class RepositoryRef(msgspec.Struct, frozen=True):
    id: int
    default_branch: str | None = None


class IssueRef(msgspec.Struct, frozen=True):
    number: int
    pull_request: dict[str, msgspec.Raw] | None = None


class PullRef(msgspec.Struct, frozen=True):
    number: int


class AboutIssue(msgspec.Struct, frozen=True):
    action: str
    issue: IssueRef
    repository: RepositoryRef


class AboutPull(msgspec.Struct, frozen=True):
    action: str
    pull_request: PullRef
    repository: RepositoryRef


class Push(msgspec.Struct, frozen=True):
    ref: str
    before: str
    after: str
    repository: RepositoryRef


class RepositoryChanges(msgspec.Struct, frozen=True):
    default_branch: dict[str, msgspec.Raw] | None = None


class AboutRepository(msgspec.Struct, frozen=True):
    action: RepositoryAction
    repository: RepositoryRef
    changes: RepositoryChanges | None = None


# None: nothing that we keep follows from it.
Hints = tuple[Hint, ...] | None


def _issue(body: bytes) -> Hints:
    found = msgspec.json.decode(body, type=AboutIssue)
    if found.issue.pull_request is not None:
        return (_about_pull(found.repository, found.issue.number),)
    return (_hint(found.repository, "issues", f"issue:{found.issue.number}", of="issue"),)


def _pull(body: bytes) -> Hints:
    found = msgspec.json.decode(body, type=AboutPull)
    return (_about_pull(found.repository, found.pull_request.number),)


def _push(body: bytes) -> Hints:
    """Only the default branch is synced; the key list stays empty, for a push names at most 2,048 of its commits."""
    found = msgspec.json.decode(body, type=Push)
    if found.ref != f"{BRANCH}{found.repository.default_branch}":
        return None
    return (_hint(found.repository, "code"),)


def _repository(body: bytes) -> Hints:
    """The code hangs on the default branch, so a change of that is a change of both."""
    found = msgspec.json.decode(body, type=AboutRepository)
    moved = found.changes is not None and found.changes.default_branch is not None
    streams = ("repository", "code") if moved else ("repository",)
    return tuple(_hint(found.repository, stream) for stream in streams)


def _about_pull(repository: RepositoryRef, number: int) -> Hint:
    return _hint(repository, "issues", f"pull_request:{number}", of="pull_request")


def _hint(repository: RepositoryRef, stream: str, *keys: str, of: SourceType | None = None) -> Hint:
    return Hint(resource_external_id=str(repository.id), stream=stream, keys=keys, type=of)


class Handled(msgspec.Struct, frozen=True):
    """`marks` are the top-level fields that tell this event's body from that of every other one; where it has none,
    `only` says which fields it may have at all."""

    read: Callable[[bytes], Hints]
    marks: frozenset[str]
    only: frozenset[str] = frozenset()

    def fits(self, fields: frozenset[str]) -> bool:
        return fields & MARKS == self.marks and (not self.only or fields <= self.only)


# Every other event about a repository carries its subject beside it. A field that is new here makes it unknown, which
# is counted, and a poll says the same.
REPOSITORY_FIELDS = frozenset("action repository changes organization sender installation enterprise".split())


HANDLED: Mapping[str, Handled] = {
    "issues": Handled(_issue, frozenset({"issue"})),
    "issue_comment": Handled(_issue, frozenset({"issue", "comment"})),
    "pull_request": Handled(_pull, frozenset({"pull_request"})),
    "pull_request_review": Handled(_pull, frozenset({"pull_request", "review"})),
    "pull_request_review_comment": Handled(_pull, frozenset({"pull_request", "comment"})),
    "pull_request_review_thread": Handled(_pull, frozenset({"pull_request", "thread"})),
    "push": Handled(_push, frozenset({"ref", "pusher"})),
    "repository": Handled(_repository, frozenset(), only=REPOSITORY_FIELDS),
}
MARKS = frozenset("issue comment pull_request review thread ref pusher ref_type".split())
# What a hook subscribes to: the handled ones and no other, so that a busy repository sends nothing in vain.
EVENTS = tuple(HANDLED)
# Known, and nothing that we keep follows from them. A name in neither list is counted as unknown.
IGNORED = frozenset(
    "branch_protection_configuration branch_protection_rule bypass_request_push_ruleset cache_sync check_run"
    " check_suite code_scanning_alert commit_comment content_reference create custom_property"
    " custom_property_values delete dependabot_alert deploy_key deployment deployment_protection_rule"
    " deployment_review deployment_status discussion discussion_comment enterprise fork github_app_authorization"
    " gollum installation installation_repositories installation_target issue_dependencies label"
    " marketplace_purchase member membership merge_group meta milestone org_block organization package page_build"
    " personal_access_token_request ping project project_card project_column projects_v2 projects_v2_item"
    " projects_v2_status_update public registry_package release repository_advisory repository_dispatch"
    " repository_import repository_ruleset repository_vulnerability_alert secret_scanning_alert"
    " secret_scanning_alert_location secret_scanning_scan security_advisory security_and_analysis sponsorship star"
    " status sub_issues team team_add user watch workflow_dispatch workflow_job workflow_run".split()
)


class HookConfig(msgspec.Struct, frozen=True):
    url: str = ""


class Hook(msgspec.Struct, frozen=True):
    id: int
    config: HookConfig = HookConfig()


class Refusal(msgspec.Struct, frozen=True):
    message: str = ""


class GithubWebhooks:
    def verify(self, hook: RawWebhook, secrets: Sequence[Secret]) -> None:
        """There is no timestamp in the scheme: a replay is stopped by the stored delivery, not here."""
        given = hook.headers.get(SIGNATURE, "").encode("utf-8", "surrogatepass")
        wanted = [_signature(secret, hook.body) for secret in secrets if secret]
        matches = [constant_time_equal(given, signature) for signature in wanted]
        if not any(matches):
            raise SignatureInvalid

    def parse(self, hook: RawWebhook) -> Delivery:
        """The event's name is not signed: a body that does not fit it is `unknown`, never read as another event."""
        key, event = _header(hook, DELIVERY), _header(hook, EVENT)
        body, fields = _json_object(hook)
        handled = HANDLED.get(event)
        if handled is None:
            outcome: Outcome = "ignored" if event in IGNORED else "unknown"
            return Delivery(delivery_key=key, event=event, outcome=outcome, reason=f"{outcome} event")
        try:
            hints = handled.read(body)
        except msgspec.ValidationError:
            return Delivery(delivery_key=key, event=event, outcome="unknown", reason=MISFIT)
        if not handled.fits(fields):
            return Delivery(delivery_key=key, event=event, outcome="unknown", reason=MISFIT)
        if hints is None:
            return Delivery(delivery_key=key, event=event, outcome="ignored", reason="not the default branch")
        return Delivery(delivery_key=key, event=event, outcome="handled", hints=hints)

    async def register(self, http: ProviderHttp, resource: Resource, url: str, secret: Secret) -> Subscription:
        """Needs admin rights on the repository. An existing hook gets the present secret, which is never read back."""
        body = _hook_body(url, secret)
        answer = await http.request("POST", _hooks(resource), headers=WRITE, body=body)
        if answer.status == 422:
            hook = await _with_url(http, resource, url, answer)
            answer = await http.request("PATCH", f"{_hooks(resource)}/{hook.id}", headers=WRITE, body=body)
        check_hook(http, answer)
        return Subscription(external_id=str(decode(answer, Hook).id))

    async def unregister(self, http: ProviderHttp, resource: Resource, external_id: str) -> None:
        """GitHub answers 404 also for a hook that this token may see but not delete (write:repo_hook): looked at."""
        url = f"{_hooks(resource)}/{external_id}"
        answer = await http.request("DELETE", url, headers=HEADERS)
        if answer.status != 404:
            check_hook(http, answer)
        elif (await http.request("GET", url, headers=HEADERS)).status == 200:
            raise LostSight("GitHub keeps the hook: the token may not delete hooks of this repository")

    async def missed(
        self, http: ProviderHttp, resource: Resource, external_id: str, since: datetime
    ) -> Sequence[Missed]:
        return await missed.find_missed(http, f"{_hooks(resource)}/{external_id}", since)

    async def redeliver(self, http: ProviderHttp, resource: Resource, external_id: str, attempt: str) -> None:
        await missed.ask_again(http, f"{_hooks(resource)}/{external_id}", attempt)


def _signature(secret: Secret, body: bytes) -> bytes:
    return f"sha256={hmac_sha256_hex(secret.reveal().encode(), body)}".encode()


def _header(hook: RawWebhook, name: str) -> str:
    """Raises MalformedPayload when it is missing."""
    text = hook.headers.get(name, "")
    if not text:
        raise MalformedPayload(f"the header {name} is missing")
    return text


def _json_object(hook: RawWebhook) -> tuple[bytes, frozenset[str]]:
    """The JSON of the delivery, wherever its content type puts it, and its top-level names.

    Raises MalformedPayload unless it is one object.
    """
    body = hook.body
    if hook.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
        body = _form_payload(body)
    try:
        fields = msgspec.json.decode(body.decode(), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedPayload("the body is not a JSON object") from None
    return body, frozenset(fields)


def _form_payload(body: bytes) -> bytes:
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=16, errors="strict")
        (payload,) = fields["payload"]
    except (KeyError, ValueError):
        raise MalformedPayload("the form has no single field payload") from None
    return payload.encode()


def _hooks(resource: Resource) -> str:
    """By the number that outlives every rename and transfer; where a renamed name redirects to (307) as well."""
    return f"/repositories/{resource.external_id}/hooks"


def _hook_body(url: str, secret: Secret) -> bytes:
    config = {"url": url, "content_type": "json", "secret": secret.reveal(), "insecure_ssl": "0"}
    return msgspec.json.encode({"name": "web", "active": True, "events": EVENTS, "config": config})


async def _with_url(http: ProviderHttp, resource: Resource, url: str, refused: HttpAnswer) -> Hook:
    """GitHub's 422 for a second hook with one URL does not say which: it is found by its URL in the list."""
    page: str | None = f"{_hooks(resource)}?per_page=100"
    while page:
        answer = await get(http, page)
        found = [hook for hook in decode(answer, list[Hook]) if hook.config.url == url]
        if found:
            return found[0]
        page = next_link(answer)
    raise ProviderContractBroken(f"GitHub refused the hook: {_message(refused)}")


def _message(answer: HttpAnswer) -> str:
    return decode(answer, Refusal).message[:200]


FACET: RedeliveringFacet = GithubWebhooks()

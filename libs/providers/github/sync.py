"""What GitHub gives to sync: repositories to choose from, their streams page by page, and one object again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Sequence
from typing import TypeVar

import msgspec

from libs.common.errors import InvalidInput, ProviderContractBroken, ResourceGone
from libs.common.http.wire import InvalidCursor
from libs.common.provider.client import HttpAnswer
from libs.common.provider.sync import (
    Cursor,
    Gone,
    Listed,
    Observed,
    Page,
    Part,
    Quarantined,
    Resource,
    ResourcePage,
    SyncContext,
    SyncFacet,
    resumed,
)
from libs.providers.github import code, conversations, files
from libs.providers.github.client import decode, get, get_unless_known, next_link, told_at
from libs.providers.github.objects import (
    comment_part,
    issue_source,
    parent_key,
    pull_source,
    repository_source,
    resource_of,
    review_parts,
    revision_read,
)
from libs.providers.github.parents import lost_sight_of_parent, root, see_parent
from libs.providers.github.payloads import Comment, FileChange, Issue, Pull, Repository, Review

REFERENCE = re.compile(r"^(?:https?://[^/]+/)?([\w.-]+/[\w.-]+?)(?:\.git)?/?$")
COMMENTS = {"comment": "/issues/comments", "review_comment": "/pulls/comments"}
PAGES_A_SEARCH = 10
A_BURST = 3  # issues at once: one call for a list, instead of a call each
Fetched = Observed | Gone | Quarantined
T = TypeVar("T")


class Following(msgspec.Struct, frozen=True):
    """GitHub's own link to the next page of repositories."""

    next: str


class GithubSync:
    async def discover(self, ctx: SyncContext, cursor: Cursor | None, query: str = "") -> ResourcePage:
        """Repositories this token sees, most recently pushed first (docs: "List repositories for a user").

        GitHub cannot search in them: pages are read until one has a hit, and the next cursor goes on after it.
        """
        items: tuple[Resource, ...] = ()
        follow = _next_of(ctx, cursor)
        for _ in range(PAGES_A_SEARCH):
            first = None if follow else {"sort": "pushed", "per_page": "100"}
            answer = await get(ctx.http, follow or "/user/repos", params=first)
            found = (resource_of(repository) for repository in decode(answer, list[Repository]))
            items = tuple(resource for resource in found if query.lower() in resource.name.lower())
            follow = next_link(answer)
            if items or not follow:
                break
        return ResourcePage(items=items, next_cursor={"next": follow} if follow else None)

    async def find(self, ctx: SyncContext, reference: str) -> Resource:
        if reference.isdigit():
            url = f"/repositories/{reference}"
        elif match := REFERENCE.match(reference):
            url = f"/repos/{match.group(1)}"
        else:
            raise InvalidInput("name a repository as owner/name, its URL or its id", pointer="/resources")
        async with lost_sight_of_parent():
            return resource_of(decode(await get(ctx.http, url), Repository))

    def pull(self, ctx: SyncContext, stream: str, cursor: Cursor | None) -> AsyncIterator[Page]:
        streams = {
            "repository": _repository,
            "issues": conversations.issues,
            "comments": conversations.comments,
            "review_comments": conversations.review_comments,
            "code": code.pull,
        }
        return streams[stream](ctx, cursor)

    async def fetch(self, ctx: SyncContext, listed: Sequence[Listed]) -> Sequence[Fetched]:
        changed_last = await _changed_last(ctx, {one.key for one in listed if one.key.startswith("issue:")})
        return [changed_last.get(one.key) or await _fetch(ctx, one) for one in listed]

    def key_stream(self, key: str) -> str:
        kinds = {
            "issue": "issues", "pull_request": "issues", "file": "code", "repository": "repository",
            "comment": "comments", "review_comment": "review_comments",
        }  # fmt: skip
        return kinds[key.split(":", 1)[0]]


def _next_of(ctx: SyncContext, cursor: Cursor | None) -> str | None:
    """Nobody names another address by a cursor than one of GitHub's own."""
    following = resumed(cursor, Following)
    if following is not None and not following.next.startswith(f"{ctx.http.api_url}/"):
        raise InvalidCursor(pointer="/cursor")
    return following.next if following else None


async def _repository(ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
    known = bool(cursor) and not ctx.full
    async with lost_sight_of_parent():
        answer = await get_unless_known(ctx.http, root(ctx), reader="repository", known=known)
    if answer.not_modified:
        yield Page(items=(), cursor=cursor or {}, last=True)
        return
    repository = decode(answer, Repository)
    yield Page(
        items=(repository_source(repository),),
        cursor={"seen": True},
        last=True,
        resource=resource_of(repository),
    )


async def _changed_last(ctx: SyncContext, keys: Collection[str]) -> dict[str, Fetched]:
    """Hints come in bursts, and GitHub wants one call after the other: a page of what changed last holds most of them.

    What is not on it, or does not fit, is read by its number.
    """
    if len(keys) < A_BURST:
        return {}
    try:
        query = {"state": "all", "sort": "updated", "direction": "desc", "per_page": "100"}
        found = decode(await get(ctx.http, f"{root(ctx)}/issues", params=query), list[msgspec.Raw])
    except ResourceGone:  # issues are switched off, or the repository is not seen: each of them says so
        return {}
    issues = [issue for issue in map(_issue_if_fit, found) if issue and f"issue:{issue.number}" in keys]
    return {f"issue:{issue.number}": await _with_comments(ctx, issue) for issue in issues if not issue.pull_request}


def _issue_if_fit(raw: msgspec.Raw) -> Issue | None:
    try:
        return msgspec.json.decode(raw, type=Issue)
    except msgspec.ValidationError:
        return None


async def _with_comments(ctx: SyncContext, issue: Issue) -> Fetched:
    """One of which something went or does not fit meanwhile is read again by itself, which tells what it is."""
    try:
        return issue_source(issue, await _talk(ctx, issue))
    except (ResourceGone, ProviderContractBroken):
        return await _fetch(ctx, Listed(key=f"issue:{issue.number}", type="issue", revision=""))


async def _talk(ctx: SyncContext, issue: Issue) -> tuple[Part, ...]:
    """GitHub tells how many there are: none needs no call."""
    url = f"{root(ctx)}/issues/{issue.number}/comments"
    comments = await _all(ctx, url, Comment) if issue.comments else []
    return tuple(comment_part(comment, "comment") for comment in comments)


async def _fetch(ctx: SyncContext, listed: Listed) -> Fetched:
    """What does not fit is quarantined by its key: the others of its page are not held up by it."""
    if listed.key.startswith("file:"):
        return (await files.fetch(ctx, [listed]))[0]
    try:
        return await _read_or_gone(ctx, listed)
    except ProviderContractBroken as error:
        return Quarantined(key=listed.key, code=error.code, detail=error.detail)


async def _read_or_gone(ctx: SyncContext, listed: Listed) -> Fetched:
    """Absent only if GitHub says so twice and shows its repository in between; else nothing is deleted."""
    try:
        return await _read(ctx, listed)
    except ResourceGone:
        await see_parent(ctx, issues=listed.key != "repository")
    try:
        return await _read(ctx, listed)
    except ResourceGone as error:
        return Gone(key=listed.key, proof=f"{error.detail}, twice, and its repository is visible")


async def _read(ctx: SyncContext, listed: Listed) -> Fetched:
    kind, _, number = listed.key.partition(":")
    if kind == "issue":
        return await _fetch_issue(ctx, number)
    if kind == "pull_request":
        return await _fetch_pull(ctx, number, whole=not listed.facts.get("listed"))
    if kind in COMMENTS:
        return await _fetch_parent(ctx, COMMENTS[kind], number)
    return repository_source(decode(await get(ctx.http, root(ctx)), Repository))


async def _fetch_parent(ctx: SyncContext, path: str, number: str) -> Fetched:
    """A comment that did not fit when it was listed: what it stands on, whole, holds it once it fits."""
    comment = decode(await get(ctx.http, f"{root(ctx)}{path}/{number}"), Comment)
    return await _read(ctx, Listed(key=parent_key(comment), type="issue", revision=""))


async def _fetch_issue(ctx: SyncContext, number: str) -> Fetched:
    answer = await get(ctx.http, f"{root(ctx)}/issues/{number}")
    issue = decode(answer, Issue)
    if not _is_here(ctx, answer, number):
        raise ResourceGone("transferred to another repository")
    if issue.pull_request is not None:  # a list's element that did not fit, and could not be told from an issue
        return await _fetch_pull(ctx, number, whole=True)
    return issue_source(issue, await _talk(ctx, issue))


async def _fetch_pull(ctx: SyncContext, number: str, *, whole: bool) -> Fetched:
    """From a listing only what lists do not carry: reviews and files. After a hint everything, comments included."""
    url = f"{root(ctx)}/pulls/{number}"
    answer = await get(ctx.http, url)
    pull = decode(answer, Pull)
    parts = list(review_parts(await _all(ctx, f"{url}/reviews", Review)))
    changed = None if await _files_stand(ctx, pull) else await _all(ctx, f"{url}/files", FileChange)
    if whole:
        talk = await _all(ctx, f"{root(ctx)}/issues/{number}/comments", Comment)
        notes = await _all(ctx, f"{url}/comments", Comment)
        parts += [comment_part(comment, "comment") for comment in talk]
        parts += [comment_part(comment, "review_comment") for comment in notes]
    found = pull_source(pull, parts=tuple(parts), prefix="" if whole else "review:", files=changed)
    return msgspec.structs.replace(found, revision=revision_read(pull.updated_at, told_at(answer)))


async def _files_stand(ctx: SyncContext, pull: Pull) -> bool:
    """The files that we hold are of these two commits; a comment or a label changes none of them."""
    key = f"pull_request:{pull.number}"
    held = (await ctx.held(key, [key])).get(key)
    return held is not None and (held.metadata.get("head"), held.metadata.get("base")) == (pull.head.sha, pull.base.sha)


async def _all(ctx: SyncContext, url: str, kind: type[T]) -> list[T]:
    """A list along its next links; limits of the provider (3,000 files) are the provider's."""
    found: list[T] = []
    follow: str | None = url
    answer: HttpAnswer
    while follow:
        answer = await get(ctx.http, follow, params={"per_page": "100"} if follow == url else None)
        found += decode(answer, list[kind])  # type: ignore[valid-type]
        follow = next_link(answer)
    return found


def _is_here(ctx: SyncContext, answer: HttpAnswer, number: str) -> bool:
    """A transferred issue is answered by a redirect to its new place (docs: "Get an issue"). Names are no proof: a
    renamed repository answers under a name that we do not know yet."""
    return answer.url.endswith(f"{root(ctx)}/issues/{number}")


FACET: SyncFacet = GithubSync()

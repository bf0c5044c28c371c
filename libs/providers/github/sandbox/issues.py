"""Issues, pull requests, and what people say on them: the read side of the played API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import msgspec

from libs.providers.github.sandbox import shapes
from libs.providers.github.sandbox.call import Call, Refused, ok, route
from libs.providers.github.sandbox.gitstore import FileChange
from libs.providers.github.sandbox.listing import Key, Rows, descending, newer, ordered, page, since
from libs.providers.github.sandbox.records import Comment, Issue, Pull, Review, ReviewComment
from libs.providers.github.sandbox.world import Shelf
from libs.sandbox.contract import Answer

MOST_PULL_FILES = 3000
MOST_PULL_COMMITS = 250
T = TypeVar("T", Issue, Comment, ReviewComment)


def issue_bytes(shelf: Shelf, it: Issue) -> bytes:
    return _kept(shelf, ("issue", it.id), lambda: shapes.issue(shelf.repo, it))


def pull_bytes(shelf: Shelf, it: Issue) -> bytes:
    its = cast(Pull, it.pull)
    return _kept(shelf, ("pull", it.id), lambda: shapes.pull(shelf.repo, it, its, repo_raw(shelf)))


def comment_bytes(shelf: Shelf, it: Comment) -> bytes:
    parent = shelf.issues.get(it.number)
    on_pull = parent is not None and parent.pull is not None
    return _kept(shelf, ("comment", it.id), lambda: shapes.comment(shelf.repo, it, on_pull=on_pull))


def review_bytes(shelf: Shelf, it: Review) -> bytes:
    return _kept(shelf, ("review", it.id), lambda: shapes.review(shelf.repo, it))


def review_comment_bytes(shelf: Shelf, it: ReviewComment) -> bytes:
    return _kept(shelf, ("review_comment", it.id), lambda: shapes.review_comment(shelf.repo, it))


def repo_raw(shelf: Shelf) -> msgspec.Raw:
    """The repository as it stands inside its pull requests, without counts that would change with every issue."""
    return msgspec.Raw(_kept(shelf, ("embedded", 0), lambda: shapes.repository(shelf.repo)))


def _kept(shelf: Shelf, key: tuple[str, int], make: Callable[[], dict[str, Any]]) -> bytes:
    found = shelf.rendered.get(key)
    if found is None:
        found = shelf.rendered[key] = msgspec.json.encode(make())
    return found


def issues(call: Call) -> Answer:
    _enabled(call)
    if call.query.get("since") == "1970-01-01T00:00:00Z" and call.switches.since_epoch_empty:
        return ok([])
    shelf = call.shelf
    rows = _sorted(call, "issues", "created", "desc", lambda: _filtered(call, _listed(shelf.issues.values())))
    return page(call, rows, lambda it: issue_bytes(shelf, it), cursors=True)


def pulls(call: Call) -> Answer:
    shelf = call.shelf
    default = "asc" if call.query.get("sort", "created") != "created" else "desc"
    rows = _sorted(call, "pulls", "created", default, lambda: _filtered_pulls(call))
    return page(call, rows, lambda it: pull_bytes(shelf, it))


def _enabled(call: Call) -> None:
    if not call.shelf.repo.has_issues:
        raise Refused(410, "Issues are disabled for this repo")


def _listed(rows: Iterable[Issue]) -> list[Issue]:
    return [it for it in rows if it.listed]


def _filtered(call: Call, rows: list[Issue]) -> list[Issue]:
    labels = set(filter(None, call.query.get("labels", "").split(",")))
    rows = newer(_in_state(call, rows), lambda it: it.updated_at, since(call))
    return [it for it in rows if labels <= set(it.labels)]


def _filtered_pulls(call: Call) -> list[Issue]:
    base, head = call.query.get("base"), call.query.get("head", "").rpartition(":")[2]
    return [
        it
        for it in _in_state(call, call.shelf.issue_of_pull_list())
        if it.pull and base in (None, it.pull.base_ref) and head in ("", it.pull.head_ref)
    ]


def _in_state(call: Call, rows: list[Issue]) -> list[Issue]:
    state = call.query.get("state", "open")
    if state not in ("open", "closed", "all"):
        raise Refused(422, "Validation Failed", errors=[{"resource": "Issue", "code": "invalid", "field": "state"}])
    return rows if state == "all" else [it for it in rows if it.state == state]


def _sorted(call: Call, kind: str, by: str, direction: str, rows: Callable[[], list[T]]) -> Rows[T]:
    """Sorted once per change and question: paging through many asks the same over and over."""
    asked = {k: v for k, v in call.query.items() if k not in ("page", "per_page", "after", "before")}
    key = (kind, tuple(sorted(asked.items())))
    found = call.shelf.sorted.get(key)
    if found is None:
        sort = call.query.get("sort", by)
        found = ordered(rows(), lambda it: _key(it, sort), descending=descending(call, direction))
        if len(call.shelf.sorted) > 64:
            call.shelf.sorted.clear()
        call.shelf.sorted[key] = found
    return cast(Rows[T], found)


def _key(it: Issue | Comment | ReviewComment, sort: str) -> Key:
    tie = it.number if isinstance(it, Issue) else it.id
    if sort == "updated":
        return it.updated_at, tie
    if sort == "id":
        return tie, tie
    if sort in ("comments", "popularity") and isinstance(it, Issue):
        return it.comments, tie
    return it.created_at, tie


def issue(call: Call) -> Answer:
    _enabled(call)
    return Answer(200, issue_bytes(call.shelf, call.issue()))


def pull(call: Call) -> Answer:
    """The single pull request, with the counts that git gives for its base and head."""
    it, shelf = call.pull(), call.shelf
    return Answer(200, _kept(shelf, ("pull_detail", it.id), lambda: pull_detail(shelf, it)))


def pull_detail(shelf: Shelf, it: Issue) -> dict[str, Any]:
    its = cast(Pull, it.pull)
    files = _pull_files(shelf, its)
    reviews = sum(c.number == it.number for c in shelf.review_comments.values())
    return {
        **shapes.pull(shelf.repo, it, its, repo_raw(shelf)),
        "merged": its.merged_at is not None, "mergeable": None if its.merged_at else True, "rebaseable": None,
        "mergeable_state": "unknown" if its.merged_at else "clean",
        "merged_by": shapes.user(shapes.GENERATOR) if its.merged_at else None,
        "comments": it.comments, "review_comments": reviews, "maintainer_can_modify": False,
        "commits": len(_pull_commits(shelf, its)), "additions": sum(f.additions for f in files),
        "deletions": sum(f.deletions for f in files), "changed_files": len(files),
    }  # fmt: skip


def _pull_files(shelf: Shelf, its: Pull) -> list[FileChange]:
    """Three-dot, as a pull request shows it: from where the branches parted to its head."""
    git = shelf.git
    base, head = git.commit(its.base_sha), git.commit(its.head_sha)
    parted = git.merge_base(base, head) or base
    return git.changes(parted.tree, head.tree, MOST_PULL_FILES)


def _pull_commits(shelf: Shelf, its: Pull) -> list[Any]:
    git = shelf.git
    return git.between(git.commit(its.base_sha), git.commit(its.head_sha))


def pull_files(call: Call) -> Answer:
    its, shelf = cast(Pull, call.pull().pull), call.shelf
    files = ordered(list(enumerate(_pull_files(shelf, its))), lambda row: (row[0], 0), descending=False)
    return page(call, files, lambda row: msgspec.json.encode(shapes.changed_file(shelf.repo, row[1], its.head_sha)))


def pull_commits(call: Call) -> Answer:
    its, shelf = cast(Pull, call.pull().pull), call.shelf
    commits = ordered(
        list(enumerate(_pull_commits(shelf, its)[:MOST_PULL_COMMITS])), lambda row: (row[0], 0), descending=False
    )
    return page(call, commits, lambda row: msgspec.json.encode(shapes.commit(shelf.repo, row[1])))


def pull_reviews(call: Call) -> Answer:
    it, shelf = call.pull(), call.shelf
    mine = [review for review in shelf.reviews.values() if review.number == it.number]
    rows = ordered(mine, lambda review: (review.submitted_at, review.id), descending=False)
    return page(call, rows, lambda review: review_bytes(shelf, review))


def issue_comments(call: Call) -> Answer:
    it, shelf = call.issue(), call.shelf
    mine = [comment for comment in shelf.comments.values() if comment.number == it.number]
    rows = ordered(newer(mine, lambda c: c.updated_at, since(call)), lambda c: (c.id, 0), descending=False)
    return page(call, rows, lambda comment: comment_bytes(shelf, comment))


def pull_comments(call: Call) -> Answer:
    it, shelf = call.pull(), call.shelf
    mine = [comment for comment in shelf.review_comments.values() if comment.number == it.number]
    rows = ordered(newer(mine, lambda c: c.updated_at, since(call)), lambda c: (c.id, 0), descending=False)
    return page(call, rows, lambda comment: review_comment_bytes(shelf, comment))


def all_comments(call: Call) -> Answer:
    shelf = call.shelf
    rows = _of_repository(call, "comments", lambda: list(shelf.comments.values()))
    return page(call, rows, lambda comment: comment_bytes(shelf, comment))


def all_review_comments(call: Call) -> Answer:
    shelf = call.shelf
    rows = _of_repository(call, "review_comments", lambda: list(shelf.review_comments.values()))
    return page(call, rows, lambda comment: review_comment_bytes(shelf, comment))


def _of_repository(call: Call, kind: str, rows: Callable[[], list[T]]) -> Rows[T]:
    """Repository-wide comments come by ascending id, and `direction` means nothing, until `sort` is given."""

    def wanted() -> list[T]:
        return newer([c for c in rows() if _told(call.shelf, c)], lambda c: c.updated_at, since(call))

    if "sort" not in call.query:
        return ordered(wanted(), lambda c: _key(c, "id"), descending=False)
    return _sorted(call, kind, "created", "desc", wanted)


def _told(shelf: Shelf, comment: Issue | Comment | ReviewComment) -> bool:
    parent = shelf.issues.get(comment.number)
    return parent is not None and parent.listed


def comment(call: Call) -> Answer:
    found = call.shelf.comments.get(int(call.params["id"]))
    if found is None or not _told(call.shelf, found):
        raise Refused(404, "Not Found")
    return Answer(200, comment_bytes(call.shelf, found))


def review_comment(call: Call) -> Answer:
    found = call.shelf.review_comments.get(int(call.params["id"]))
    if found is None or not _told(call.shelf, found):
        raise Refused(404, "Not Found")
    return Answer(200, review_comment_bytes(call.shelf, found))


ROUTES = [
    route("GET", "/issues", issues),
    route("GET", "/issues/comments", all_comments),
    route("GET", "/issues/comments/{id}", comment),
    route("GET", "/issues/{number}", issue),
    route("GET", "/issues/{number}/comments", issue_comments),
    route("GET", "/pulls", pulls),
    route("GET", "/pulls/comments", all_review_comments),
    route("GET", "/pulls/comments/{id}", review_comment),
    route("GET", "/pulls/{number}", pull),
    route("GET", "/pulls/{number}/files", pull_files),
    route("GET", "/pulls/{number}/commits", pull_commits),
    route("GET", "/pulls/{number}/reviews", pull_reviews),
    route("GET", "/pulls/{number}/comments", pull_comments),
]

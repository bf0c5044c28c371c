"""GitHub's objects as sources and parts: plain functions of values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from libs.common.provider.sync import ChangedFile, Observed, Part, Resource
from libs.providers.github.payloads import Comment, FileChange, Issue, Label, Pull, Repository, Review

MARKDOWN = "text/markdown"
MOST_PULL_FILES = 3_000  # docs "List pull requests files": more are never answered
SETTLED = timedelta(seconds=2)
PATCH_LIMIT = 4_000  # characters; a larger patch is read at the provider
Status = Literal["added", "modified", "removed", "renamed", "copied", "changed"]
STATUSES: tuple[Status, ...] = ("added", "modified", "removed", "renamed", "copied", "changed")


def resource_of(repository: Repository) -> Resource:
    return Resource(
        kind="repository",
        external_id=str(repository.id),
        name=repository.full_name,
        url=repository.html_url,
        facts={"default_branch": repository.default_branch, "private": repository.private},
        last_active_at=repository.pushed_at or repository.updated_at,
        dormant=repository.archived,
    )


def repository_source(repository: Repository) -> Observed:
    lines = [f"# {repository.full_name}", repository.description or ""]
    if repository.topics:
        lines.append(f"Topics: {', '.join(repository.topics)}")
    if repository.homepage:
        lines.append(f"Homepage: {repository.homepage}")
    return Observed(
        key="repository",
        type="repository",
        name=repository.full_name,
        url=repository.html_url,
        content="\n\n".join(line for line in lines if line),
        content_type=MARKDOWN,
        revision=str(repository.updated_at),
        metadata={
            "defaultBranch": repository.default_branch,
            "archived": repository.archived,
            "private": repository.private,
            "language": repository.language,
        },
        updated_at=repository.updated_at,
    )


def issue_source(issue: Issue, parts: tuple[Part, ...] | None = None) -> Observed:
    return Observed(
        key=f"issue:{issue.number}",
        type="issue",
        name=issue.title,
        url=issue.html_url,
        content=_titled(issue.title, issue.body),
        content_type=MARKDOWN,
        revision=issue.updated_at.isoformat(),
        author=issue.user.login if issue.user else "",
        metadata={
            "number": issue.number,
            "state": issue.state,
            "labels": [_label_name(label) for label in issue.labels],
            "assignees": [user.login for user in issue.assignees],
            "createdAt": issue.created_at.isoformat(),
            "closedAt": issue.closed_at.isoformat() if issue.closed_at else None,
        },
        parts=parts,
        updated_at=issue.updated_at,
    )


def pull_source(pull: Pull, *, parts: tuple[Part, ...], prefix: str, files: Sequence[FileChange] | None) -> Observed:
    """`prefix` says which parts `parts` is the whole of: `review:`, or "" for all. `files` None: as they were."""
    return Observed(
        key=f"pull_request:{pull.number}",
        type="pull_request",
        name=pull.title,
        url=pull.html_url,
        content=_titled(pull.title, pull.body),
        content_type=MARKDOWN,
        revision=pull.updated_at.isoformat(),
        author=pull.user.login if pull.user else "",
        metadata={
            "number": pull.number,
            "state": "merged" if pull.merged_at else pull.state,
            "draft": pull.draft,
            "labels": [label.name for label in pull.labels],
            "head": pull.head.sha,
            "base": pull.base.sha,
            "changedFiles": pull.changed_files,
            "changedFilesCut": pull.changed_files > MOST_PULL_FILES,
            "createdAt": pull.created_at.isoformat(),
            "mergedAt": pull.merged_at.isoformat() if pull.merged_at else None,
        },
        parts=parts,
        parts_prefix=prefix,
        changed_files=None if files is None else tuple(changed_file(file) for file in files),
        updated_at=pull.updated_at,
    )


def revision_read(updated_at: datetime, at: datetime) -> str:
    """GitHub tells whole seconds: what is read in the second of its last change may change once more and look the same.

    So it is of no revision that a list can name, and the next list has it read again.
    """
    plain = updated_at.isoformat()
    return plain if at - updated_at >= SETTLED else f"{plain} read {at.isoformat()}"


def comment_part(comment: Comment, kind: Literal["comment", "review_comment"]) -> Part:
    label = f"commented on {comment.path}" if comment.path else "commented"
    return Part(
        key=f"{kind}:{comment.id}",
        author=comment.user.login if comment.user else "ghost",
        created_at=comment.created_at,
        body=comment.body or "",
        url=comment.html_url,
        label=label,
    )


def review_parts(reviews: Sequence[Review]) -> tuple[Part, ...]:
    """Submitted reviews that say something: their words, or an approval or request for changes without words."""
    verdicts = {"APPROVED": "approved", "CHANGES_REQUESTED": "requested changes", "DISMISSED": "review dismissed"}
    return tuple(
        Part(
            key=f"review:{review.id}",
            author=review.user.login if review.user else "ghost",
            created_at=review.submitted_at,
            body=review.body or "",
            url=review.html_url,
            label=verdicts.get(review.state, "reviewed"),
        )
        for review in reviews
        if review.submitted_at and (review.body or review.state in verdicts)
    )


def parent_key(comment: Comment) -> str:
    """A conversation comment's `issue_url` looks the same for both; its page tells a pull request apart."""
    number = (comment.issue_url or comment.pull_request_url).rsplit("/", 1)[-1]
    kind = "pull_request" if "/pull/" in comment.html_url else "issue"
    return f"{kind}:{number}"


def changed_file(file: FileChange) -> ChangedFile:
    """As GitHub tells it: of a removed file `sha` is the blob that it was."""
    status = file.status if file.status in STATUSES else "changed"
    gone = status == "removed"
    return ChangedFile(
        path=file.filename,
        status=status,
        previous_path=file.previous_filename,
        additions=file.additions,
        deletions=file.deletions,
        blob_id=None if gone else file.sha,
        previous_blob_id=file.sha if gone else None,
        patch=shown_patch(file),
    )


def shown_patch(file: FileChange) -> str | None:
    return file.patch if file.patch and len(file.patch) <= PATCH_LIMIT else None


def _titled(title: str, body: str | None) -> str:
    return f"# {title}\n\n{body}" if body else f"# {title}"


def _label_name(label: Label | str) -> str:
    return label if isinstance(label, str) else label.name

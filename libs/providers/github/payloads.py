"""The fields we read of GitHub's objects; everything else of a payload is ignored."""

from __future__ import annotations

from datetime import datetime

import msgspec


class User(msgspec.Struct, frozen=True):
    login: str = ""
    id: int = 0


class Label(msgspec.Struct, frozen=True):
    name: str = ""


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    full_name: str
    html_url: str
    default_branch: str
    private: bool = False
    archived: bool = False
    has_issues: bool = True
    description: str | None = None
    topics: list[str] = []
    language: str | None = None
    homepage: str | None = None
    pushed_at: datetime | None = None
    updated_at: datetime | None = None


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """An element of the issues list; one with `pull_request` is a pull request, and `id` is then the issue's."""

    number: int
    title: str
    html_url: str
    state: str
    updated_at: datetime
    created_at: datetime
    user: User | None = None
    body: str | None = None
    labels: list[Label | str] = []
    assignees: list[User] = []
    milestone: dict[str, object] | None = None
    closed_at: datetime | None = None
    comments: int = 0
    pull_request: dict[str, object] | None = None


class Ref(msgspec.Struct, frozen=True, kw_only=True):
    sha: str
    ref: str = ""


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    title: str
    html_url: str
    state: str
    updated_at: datetime
    created_at: datetime
    head: Ref
    base: Ref
    user: User | None = None
    body: str | None = None
    labels: list[Label] = []
    merged_at: datetime | None = None
    closed_at: datetime | None = None
    merge_commit_sha: str | None = None
    draft: bool = False
    changed_files: int = 0


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """Conversation and review comments; `path` only on the latter."""

    id: int
    html_url: str
    created_at: datetime
    updated_at: datetime
    user: User | None = None
    body: str | None = None
    path: str | None = None
    issue_url: str = ""
    pull_request_url: str = ""


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """`submitted_at` is absent while a review is pending; then it is not ours to show."""

    id: int
    state: str
    html_url: str = ""
    user: User | None = None
    body: str | None = None
    submitted_at: datetime | None = None


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    filename: str
    status: str
    sha: str | None = None
    additions: int = 0
    deletions: int = 0
    previous_filename: str | None = None
    patch: str | None = None


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    content: str
    encoding: str


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Of one path: above 1 MB its content is empty and its encoding `none`."""

    type: str
    sha: str
    size: int = 0
    encoding: str = ""
    content: str = ""


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    commit: Ref


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    status: str
    files: list[FileChange] = []


class TreeEntry(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    mode: str
    type: str
    sha: str
    size: int = 0


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    sha: str
    tree: list[TreeEntry]
    truncated: bool = False

"""What the played GitHub holds: one struct per thing, times in epoch seconds, ids that never change."""

from __future__ import annotations

import msgspec


class Repo(msgspec.Struct, kw_only=True):
    id: int
    full_name: str
    default_branch: str
    created_at: int
    updated_at: int
    pushed_at: int
    description: str | None = None
    private: bool = True
    archived: bool = False
    has_issues: bool = True
    deleted: bool = False
    former_names: list[str] = []
    next_number: int = 1

    @property
    def owner(self) -> str:
        return self.full_name.partition("/")[0]

    @property
    def name(self) -> str:
        return self.full_name.partition("/")[2]


class Pull(msgspec.Struct, kw_only=True):
    """The half of an issue that makes it a pull request; its id is not the issue's id."""

    id: int
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    merged_at: int | None = None
    merge_commit_sha: str | None = None
    draft: bool = False


class Issue(msgspec.Struct, kw_only=True):
    id: int
    repo: int
    number: int
    title: str
    body: str
    created_at: int
    updated_at: int
    labels: list[str] = []
    closed_at: int | None = None
    comments: int = 0
    deleted: bool = False
    moved_to: tuple[int, int] | None = None
    pull: Pull | None = None

    @property
    def state(self) -> str:
        return "closed" if self.closed_at else "open"

    @property
    def listed(self) -> bool:
        return not self.deleted and self.moved_to is None


class Comment(msgspec.Struct, kw_only=True):
    id: int
    repo: int
    number: int
    body: str
    created_at: int
    updated_at: int


class Review(msgspec.Struct, kw_only=True):
    id: int
    repo: int
    number: int
    state: str
    body: str
    commit_id: str
    submitted_at: int


class ReviewComment(msgspec.Struct, kw_only=True):
    id: int
    repo: int
    number: int
    review: int
    path: str
    diff_hunk: str
    line: int
    body: str
    commit_id: str
    created_at: int
    updated_at: int


class Hook(msgspec.Struct, kw_only=True):
    """`origin` is where its payloads' own URLs point: the address that the hook was made through."""

    id: int
    repo: int
    url: str
    origin: str
    created_at: int
    updated_at: int
    secret: str | None = None
    content_type: str = "form"
    insecure_ssl: str = "0"
    events: list[str] = msgspec.field(default_factory=lambda: ["push"])
    active: bool = True


class Token(msgspec.Struct, kw_only=True):
    """`repositories` None sees everything; a state other than active answers 401; `client_id`: the app that has it."""

    id: int
    token: str
    login: str = "sandbox-generator"
    scopes: list[str] = msgspec.field(default_factory=lambda: ["repo", "read:user", "read:org"])
    repositories: list[int] | None = None
    state: str = "active"
    client_id: str = ""
    created_at: int = 0


class App(msgspec.Struct, kw_only=True):
    """A registered OAuth App."""

    id: int
    client_id: str
    client_secret: str
    name: str = "Sluice"


class Switches(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What can be turned: limits, and every behaviour that GitHub's documents leave open; `clock_ahead` in seconds."""

    since_inclusive: bool = True
    since_epoch_empty: bool = True
    comment_bumps_issue: bool = True
    tree_echoes_commit: bool = True
    rate_limit: int = 5000
    anonymous_rate_limit: int = 60
    rate_window_seconds: int = 3600
    large_list_above: int = 1000
    page_depth: int = 10
    tree_limit: int = 100_000
    compare_file_limit: int = 300
    compare_commit_limit: int = 250
    deliver_hooks: bool = True
    callback_urls: list[str] = []
    code_seconds: int = 600
    tokens_per_grant: int = 10
    verified_email: bool = True
    remember_consent: bool = False
    burn_refused_codes: bool = True
    redirect_uri_required: bool = True
    keep_secrets: bool = False
    clock_ahead: int = 0


Kept = Repo | Issue | Comment | Review | ReviewComment | Hook | Token | App
Shelved = Issue | Comment | Review | ReviewComment | Hook

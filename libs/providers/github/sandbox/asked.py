"""The changes that can be asked of the played GitHub; `op` says which, unknown fields are refused."""

from __future__ import annotations

import msgspec

DEFAULT = "sluice/sluice"
# Text as it is, or {"base64": …} for bytes.
Content = str | dict[str, str]


class _Change(msgspec.Struct, tag_field="op", rename="camel", forbid_unknown_fields=True, kw_only=True):
    repository: str = DEFAULT


class Push(_Change, tag="push"):
    """`force` leaves the branch's last commit behind (or goes back to the commit `to`) before it adds the new one.

    `merge` names a branch that is merged first; `links` are symbolic links by path, `submodules` commits by path,
    `executable` turns the bit of files that are there or come.
    """

    branch: str | None = None
    message: str = "A change made in the sandbox"
    files: dict[str, Content] = {}
    delete: list[str] = []
    rename: dict[str, str] = {}
    links: dict[str, str] = {}
    submodules: dict[str, str] = {}
    executable: dict[str, bool] = {}
    merge: str | None = None
    force: bool = False
    to: str | None = None


class OpenPull(_Change, tag="open_pull"):
    title: str
    body: str = ""
    labels: list[str] = []
    files: dict[str, Content] = {}
    branch: str | None = None
    base: str | None = None


class Merge(_Change, tag="merge"):
    number: int


class OpenIssue(_Change, tag="open_issue"):
    title: str
    body: str = ""
    labels: list[str] = []


class EditIssue(_Change, tag="edit_issue"):
    number: int
    title: str | None = None
    body: str | None = None
    labels: list[str] | None = None


class Reply(_Change, tag="comment"):
    number: int
    body: str


class EditComment(_Change, tag="edit_comment"):
    id: int
    body: str


class DeleteComment(_Change, tag="delete_comment"):
    id: int


class Line(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    body: str
    line: int = 1


class Reviewed(_Change, tag="review"):
    number: int
    state: str = "COMMENTED"
    body: str = ""
    comments: list[Line] = []


class Close(_Change, tag="close"):
    number: int


class Reopen(_Change, tag="reopen"):
    number: int


class DeleteIssue(_Change, tag="delete_issue"):
    number: int


class Transfer(_Change, tag="transfer"):
    number: int
    to: str


class CreateRepository(_Change, tag="create_repository"):
    full_name: str
    files: dict[str, Content] = {}


class RenameRepository(_Change, tag="rename_repository"):
    to: str


class DeleteRepository(_Change, tag="delete_repository"):
    pass


class EditRepository(_Change, tag="edit_repository"):
    description: str | None = None
    has_issues: bool | None = None
    archived: bool | None = None
    private: bool | None = None


class ChangeDefaultBranch(_Change, tag="change_default_branch"):
    to: str


class RevokeToken(_Change, tag="revoke_token"):
    token: str


AnyChange = (
    Push | OpenPull | Merge | OpenIssue | EditIssue | Reply | EditComment | DeleteComment | Reviewed | Close | Reopen
    | DeleteIssue | Transfer | CreateRepository | RenameRepository | DeleteRepository | EditRepository
    | ChangeDefaultBranch | RevokeToken
)  # fmt: skip

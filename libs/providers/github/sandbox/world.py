"""The memory of the played GitHub: everything in dictionaries, written through to a journal on disk."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from libs.providers.github.sandbox.gitstore import GitStore
from libs.providers.github.sandbox.journal import GONE, Journal
from libs.providers.github.sandbox.records import (
    App,
    Comment,
    Hook,
    Issue,
    Kept,
    Repo,
    Review,
    ReviewComment,
    Shelved,
    Switches,
    Token,
)

KINDS: dict[str, type[Kept]] = {
    "repo": Repo, "issue": Issue, "comment": Comment, "review": Review,
    "review_comment": ReviewComment, "hook": Hook, "token": Token, "app": App,
}  # fmt: skip
NAMES = {kind: name for name, kind in KINDS.items()}
# One counter for every id, far from the numbers of issues, so that a mixed-up id and number shows at once.
FIRST_ID = 700_000_000


class Shelf:
    """One repository with all that hangs on it, and the JSON already made of it."""

    def __init__(self, repo: Repo, git: GitStore) -> None:
        self.repo = repo
        self.git = git
        self.issues: dict[int, Issue] = {}
        self.comments: dict[int, Comment] = {}
        self.reviews: dict[int, Review] = {}
        self.review_comments: dict[int, ReviewComment] = {}
        self.hooks: dict[int, Hook] = {}
        self.rendered: dict[tuple[str, int], bytes] = {}
        self.sorted: dict[object, object] = {}

    def place(self, record: Shelved) -> None:
        match record:
            case Issue():
                self.issues[record.number] = record
            case Comment():
                self.comments[record.id] = record
            case Review():
                self.reviews[record.id] = record
            case ReviewComment():
                self.review_comments[record.id] = record
                self.forget(NAMES[Issue], self.issues[record.number].id)
            case Hook():
                self.hooks[record.id] = record
        self.forget(NAMES[type(record)], record.id)

    def take(self, record: Comment | ReviewComment | Hook) -> None:
        match record:
            case Comment():
                del self.comments[record.id]
            case ReviewComment():
                del self.review_comments[record.id]
                self.forget(NAMES[Issue], self.issues[record.number].id)
            case Hook():
                del self.hooks[record.id]
        self.forget(NAMES[type(record)], record.id)

    def forget(self, kind: str, identity: int) -> None:
        self.sorted.clear()
        self.rendered.pop((kind, identity), None)
        for derived in ("pull", "pull_detail"):
            self.rendered.pop((derived, identity), None)

    def forget_all(self) -> None:
        self.sorted.clear()
        self.rendered.clear()

    def issue_of_pull_list(self) -> list[Issue]:
        return [issue for issue in self.issues.values() if issue.pull and issue.listed]


class World:
    def __init__(self, state: Path) -> None:
        self.state = state
        self._journal = Journal(state / "world.jsonl")
        self.shelves: dict[int, Shelf] = {}
        self.tokens: dict[str, Token] = {}
        self.apps: dict[str, App] = {}
        self.switches = Switches()
        self._last_id = FIRST_ID
        self._load()

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def keep(self, *records: Kept) -> None:
        """Places the records and writes them down, all or none."""
        for record in records:
            self._place(record)
        self._journal.write([(NAMES[type(r)], r.id, _raw(r)) for r in records])

    def drop(self, *records: Comment | ReviewComment | Hook) -> None:
        for record in records:
            self.shelves[record.repo].take(record)
        self._journal.write([(NAMES[type(record)], record.id, GONE) for record in records])

    def turn(self, switches: Switches) -> None:
        self.switches = switches
        self._journal.write([("switches", 0, _raw(switches))])
        for shelf in self.shelves.values():
            shelf.forget_all()

    def named(self, full_name: str) -> tuple[Shelf, bool] | None:
        """The repository that has, or (second value True) once had, this name."""
        wanted = full_name.lower()
        for shelf in self.shelves.values():
            if shelf.repo.full_name.lower() == wanted and not shelf.repo.deleted:
                return shelf, False
        for shelf in self.shelves.values():
            if wanted in shelf.repo.former_names and not shelf.repo.deleted:
                return shelf, True
        return None

    @property
    def empty(self) -> bool:
        return not self.shelves

    def git_path(self, repo_id: int) -> Path:
        return self.state / "git" / f"{repo_id}.git"

    def whole(self) -> AbstractContextManager[None]:
        """One transaction around many writes: a world half made by a kill is not there at the next start."""
        return self._journal.whole()

    def close(self) -> None:
        self._journal.close()

    def _place(self, record: Kept) -> None:
        match record:
            case Repo():
                shelf = self.shelves.get(record.id)
                if shelf is None:
                    self.shelves[record.id] = Shelf(record, GitStore(self.git_path(record.id)))
                else:
                    shelf.repo = record
                    shelf.forget_all()
            case Token():
                self.tokens[record.token] = record
            case App():
                self.apps[record.client_id] = record
            case _:
                self.shelves[record.repo].place(record)

    def _load(self) -> None:
        # Repositories first, then issues: the rest is placed on them.
        order = {"repo": 0, "issue": 1}
        for (kind, identity), body in sorted(self._journal.held.items(), key=lambda kept: order.get(kept[0][0], 2)):
            if kind == "switches":
                self.switches = msgspec.json.decode(body, type=Switches)
                continue
            record = msgspec.json.decode(body, type=KINDS[kind])
            self._place(record)
            pull = record.pull.id if isinstance(record, Issue) and record.pull else 0
            self._last_id = max(self._last_id, identity, pull)
        self._journal.held.clear()


def _raw(record: Kept | Switches) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(record))

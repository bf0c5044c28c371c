"""GitHub as a play: small repositories where people work at random, and what a faithful copy holds of them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from libs.common.provider.webhooks import RawWebhook
from libs.common.testing.answered import Answered
from libs.common.testing.plays import Act, NotPossible, Thing, Truth
from libs.providers.github import whole_lists
from libs.providers.github.sandbox import GithubStandIn
from libs.providers.github.sandbox.records import Hook, Issue, Token
from libs.providers.github.sandbox.world import Shelf
from libs.providers.github.webhooks import EVENTS
from libs.sandbox.contract import Control, ControlRefused, Place, Request
from libs.sandbox.deliveries import Deliveries

ORIGIN = "http://played.invalid/github"
LARGE = "x" * 1_000_001
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
VERDICTS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
REDIRECTS = (301, 302, 307, 308)
ALL = ("issues", "prs", "repositories", "code")
WORDS = "ash bay cedar dune elm fir gorse hazel iris juniper".split()
ACTS: dict[str, float] = {
    "open_issue": 4, "edit_issue": 4, "close": 2, "reopen": 1, "comment": 4, "edit_comment": 2, "delete_comment": 2,
    "delete_issue": 2, "transfer": 1, "label": 1, "open_pull": 3, "review": 2, "merge": 1, "push": 6, "push_rename": 3,
    "push_remove": 2, "push_odd": 1, "push_pull": 1, "force_push": 2, "change_branch": 1, "rename_repository": 1,
    "describe": 1, "clock": 3, "hide": 1, "show": 1, "issues_off": 1, "delete_repository": 0.25,
}  # fmt: skip


class Wire:
    """The outbound client's shape without a socket. `size` caps every page of a list, as small worlds need."""

    def __init__(self, stand_in: GithubStandIn, size: int) -> None:
        self._stand_in, self._size = stand_in, size

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None,
        **_: Any,
    ) -> Answered:  # fmt: skip
        for _hop in range(5):
            answer = self._asked(method, url, headers or {}, content or b"")
            if answer.status not in REDIRECTS:
                break
            url = answer.headers["location"]
        return answer

    def _asked(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Answered:
        parts = urlsplit(url)
        path = parts.path.removeprefix("/github")
        query = parts.query.replace("per_page=100", f"per_page={self._size}")
        lower = {name.lower(): value for name, value in headers.items()}
        request = Request(method=method, path=path, query=query, headers=lower, body=content, origin=ORIGIN)
        answer = self._stand_in.answer(request)
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=self._stand_in.world.switches.clock_ahead), True)
        return Answered(answer.status, {"date": date, **answer.headers}, answer.body, url)


class GithubStage:
    def __init__(self, state: Path) -> None:
        root = state / "tree"
        root.mkdir(parents=True)
        (root / "README.md").write_text("# House\n\nWhat it is.\n")
        self.deliveries = Deliveries(state / "deliveries.jsonl")
        self.stand_in = GithubStandIn(Place(root=root, state=state / "github", deliveries=self.deliveries))
        self.plays = 0
        self.turn(deliverHooks=False)

    def play(self, dice: Random) -> GithubPlay:
        self.plays += 1
        return GithubPlay(self, self.plays, dice)

    def turn(self, **switches: Any) -> None:
        self.stand_in.controls()["POST settings"](Control(switches, {}))

    def close(self) -> None:
        whole_lists.PER_PAGE = 100
        self.stand_in.close()


class GithubPlay:
    acts: Mapping[str, float] = ACTS
    features = (ALL, ("issues", "prs", "code"), ("issues", "code"), ("prs",), ("code", "repositories"))
    config: Mapping[str, Any] = {}
    api_url = f"{ORIGIN}/api"
    base_url = ORIGIN

    def __init__(self, stage: GithubStage, number: int, dice: Random) -> None:
        self._stage, self._world = stage, stage.stand_in.world
        self._names = [f"play{number}/one", f"play{number}/two"][: dice.choice([1, 2, 2])]
        self._said = 0
        self.ids = [self._begin(name, dice) for name in self._names]
        self.references = tuple(self._names)
        self.token = f"ghp_play{number}"
        self._sees(self.ids)
        size = whole_lists.PER_PAGE = dice.choice([2, 3, 100])
        self.wire = Wire(stage.stand_in, size)

    def _begin(self, name: str, dice: Random) -> int:
        files = {f"src/f{n}.py": f"print({n})\n" for n in range(dice.randint(1, 5))}
        made = self._make("create_repository", fullName=name, files=files)
        for n in range(dice.randint(0, 4)):
            self._make("open_issue", repository=name, title=f"First {n}", body=f"Body {n}")
        hook = Hook(
            id=self._world.next_id(), repo=made["id"], url="http://127.0.0.1:9/", origin=ORIGIN, created_at=1,
            updated_at=1, content_type="json", events=list(EVENTS),
        )  # fmt: skip
        self._world.keep(hook)
        return int(made["id"])

    def _sees(self, ids: list[int]) -> None:
        known = self._world.tokens.get(self.token)
        identity = known.id if known else self._world.next_id()
        self._world.keep(Token(id=identity, token=self.token, repositories=list(ids)))

    def _make(self, op: str, **more: Any) -> dict[str, Any]:
        made: Any = self._stage.stand_in.controls()["POST change"](Control({"op": op, **more}, {}))
        return dict(made)

    # what happens

    def do(self, act: str, dice: Random) -> Act:
        shelf = self._shelf(dice)
        verb: Callable[[Shelf, Random], dict[str, Any] | None] = getattr(self, f"_{act}")
        asked = verb(shelf, dice)
        if asked is None:
            return Act()
        op = str(asked.pop("op", act))
        try:
            made = self._make(op, repository=shelf.repo.full_name, **asked)
        except ControlRefused as refused:
            raise NotPossible(str(refused)) from refused
        told = {"op": op, "repository": shelf.repo.full_name, **asked}
        return Act(told=told, deliveries=tuple(self._delivery(one) for one in made["deliveries"]))

    def _shelf(self, dice: Random) -> Shelf:
        there = [self._world.shelves[one] for one in self.ids if not self._world.shelves[one].repo.deleted]
        return _one(there, dice)

    def _delivery(self, identity: int) -> RawWebhook:
        found = self._stage.deliveries.one(identity)
        headers = {name.lower(): value for name, value in found.headers.items()}
        return RawWebhook(headers=headers, body=found.body.encode())

    def _text(self, dice: Random) -> str:
        self._said += 1
        return f"{' '.join(dice.choices(WORDS, k=4))} {self._said}"

    def _issue(self, shelf: Shelf, dice: Random, *, pull: bool | None = None) -> Issue:
        return _one([it for it in shelf.issues.values() if it.listed and pull in (None, it.pull is not None)], dice)

    def _open_issue(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"title": self._text(dice), "body": dice.choice(["", self._text(dice)])}

    def _edit_issue(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"number": self._issue(shelf, dice).number, dice.choice(["title", "body"]): self._text(dice)}

    def _label(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"op": "edit_issue", "number": self._issue(shelf, dice).number, "labels": dice.sample(WORDS, 2)}

    def _close(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"number": self._issue(shelf, dice).number}

    def _reopen(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        closed = [it for it in shelf.issues.values() if it.listed and it.closed_at]
        return {"number": _one([it for it in closed if it.pull is None or not it.pull.merged_at], dice).number}

    def _comment(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"number": self._issue(shelf, dice).number, "body": self._text(dice)}

    def _edit_comment(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"id": _one(list(shelf.comments.values()), dice).id, "body": self._text(dice)}

    def _delete_comment(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"id": _one(list(shelf.comments.values()), dice).id}

    def _delete_issue(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"number": self._issue(shelf, dice, pull=False).number}

    def _transfer(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        others = [self._world.shelves[one] for one in self.ids if one != shelf.repo.id]
        there = _one([one for one in others if not one.repo.deleted], dice)
        return {"number": self._issue(shelf, dice, pull=False).number, "to": there.repo.full_name}

    def _open_pull(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        files = {f"pull/{self._said}.md": self._text(dice)}
        return {"title": self._text(dice), "body": self._text(dice), "files": files}

    def _review(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        lines = [{"path": "src/f0.py", "body": self._text(dice)}] if dice.random() < 0.5 else []
        said = {"state": dice.choice([*VERDICTS, "COMMENTED"]), "body": dice.choice(["", self._text(dice)])}
        return {"number": self._issue(shelf, dice, pull=True).number, **said, "comments": lines}

    def _merge(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"number": _one([it for it in shelf.issues.values() if it.pull and not it.closed_at], dice).number}

    # code

    def _push(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        paths = [*self._paths(shelf), f"{dice.choice('abc')}/{dice.choice(WORDS)}.md"]
        return {"files": {path: self._text(dice) for path in dice.sample(paths, min(len(paths), dice.randint(1, 3)))}}

    def _push_rename(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        old = _one(self._paths(shelf), dice)
        onto = [path for path in self._paths(shelf) if path != old]
        new = dice.choice(onto) if onto and dice.random() < 0.3 else f"moved/{self._text(dice).replace(' ', '-')}.py"
        edited = {new: self._text(dice)} if dice.random() < 0.3 else {}
        return {"op": "push", "rename": {old: new}, "files": edited}

    def _push_remove(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"op": "push", "delete": [_one(self._paths(shelf), dice)]}

    def _push_odd(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        path = f"odd/{dice.choice(WORDS)}"
        noise = {"base64": base64.b64encode(b"\0" + dice.randbytes(40)).decode()}
        odd: dict[str, Any] = dice.choice(
            [
                {"files": {path: noise}}, {"files": {path: LARGE}}, {"files": {path: LFS}}, {"files": {path: ""}},
                {"links": {path: "../src/f0.py"}}, {"submodules": {path: dice.randbytes(20).hex()}},
                {"files": {f"{path} {dice.choice('äß#%?&')}.md": "odd name\n"}},
            ]
        )  # fmt: skip
        return {"op": "push", **odd}

    def _push_pull(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        pull = _one([it.pull for it in shelf.issues.values() if it.pull and not it.closed_at], dice)
        return {"op": "push", "branch": pull.head_ref, "files": {"pull/more.md": self._text(dice)}}

    def _force_push(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        self._paths(shelf)
        commits = [str(commit.id) for commit in shelf.git.log(shelf.repo.default_branch)]
        to = {"to": dice.choice(commits)} if dice.random() < 0.5 else {}
        return {"op": "push", "force": True, "files": {f"forced/{dice.choice(WORDS)}.py": self._text(dice)}, **to}

    def _change_branch(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"op": "change_default_branch", "to": dice.choice(["main", "trunk", "next"])}

    def _paths(self, shelf: Shelf) -> list[str]:
        found = [path for path, mode, _ in self._blobs(shelf) if mode != "120000"]
        if not found:
            raise NotPossible("no files")
        return found

    # the repository and the view of it

    def _rename_repository(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"to": f"{shelf.repo.owner}/{shelf.repo.name}-{self._said}"}

    def _describe(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"op": "edit_repository", "description": self._text(dice)}

    def _delete_repository(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        if sum(not self._world.shelves[one].repo.deleted for one in self.ids) == 1:
            raise NotPossible("the last one")
        return {}

    def _issues_off(self, shelf: Shelf, dice: Random) -> dict[str, Any]:
        return {"op": "edit_repository", "hasIssues": False}

    def _clock(self, shelf: Shelf, dice: Random) -> None:
        ahead = self._world.switches.clock_ahead + dice.choice([1, 240, 400, 86_400])
        self._stage.turn(clockAhead=ahead)

    def _hide(self, shelf: Shelf, dice: Random) -> None:
        self._sees([one for one in self._seen() if one != shelf.repo.id])

    def _show(self, shelf: Shelf, dice: Random) -> None:
        self.heal()

    def _seen(self) -> list[int]:
        return self._world.tokens[self.token].repositories or []

    def heal(self) -> None:
        self._sees(self.ids)
        for shelf in map(self._world.shelves.__getitem__, self.ids):
            if not shelf.repo.has_issues and not shelf.repo.deleted:
                self._make("edit_repository", repository=shelf.repo.full_name, hasIssues=True)

    def hidden(self) -> frozenset[str]:
        shelves = map(self._world.shelves.__getitem__, self.ids)
        gone = [it.repo.id for it in shelves if it.repo.deleted or not it.repo.has_issues]
        return frozenset(map(str, {*gone, *(one for one in self.ids if one not in self._seen())}))

    # what there is

    def truth(self) -> Truth:
        return {str(one): self._things(self._world.shelves[one]) for one in self.ids}

    def _things(self, shelf: Shelf) -> dict[str, Thing]:
        repo = shelf.repo
        words = f"# {repo.full_name}" + (f"\n\n{repo.description}" if repo.description else "")
        found = {"repository": Thing(type="repository", name=repo.full_name, body=words)}
        for issue in shelf.issues.values():
            if issue.listed:
                kind = "pull_request" if issue.pull else "issue"
                found[f"{kind}:{issue.number}"] = _conversation(shelf, issue)
        for path, mode, sha in self._blobs(shelf):
            if mode != "120000":
                found[f"file:{path}"] = _file(shelf, path, sha)
        return found

    def _blobs(self, shelf: Shelf) -> list[tuple[str, str, str]]:
        if shelf.git.empty:
            return []
        tree, _ = shelf.git.tree(shelf.repo.default_branch)
        entries, _ = shelf.git.entries(tree, recursive=True, limit=10_000)
        return [(entry.path, entry.mode, entry.sha) for entry in entries if entry.type == "blob"]


def _conversation(shelf: Shelf, issue: Issue) -> Thing:
    number, pull = issue.number, issue.pull
    parts = {f"comment:{c.id}": c.body for c in shelf.comments.values() if c.number == number}
    state, more = issue.state, {}
    if pull:
        parts |= {f"review_comment:{c.id}": c.body for c in shelf.review_comments.values() if c.number == number}
        reviews = [r for r in shelf.reviews.values() if r.number == number and (r.body or r.state in VERDICTS)]
        parts |= {f"review:{r.id}": r.body for r in reviews}
        state, more = "merged" if pull.merged_at else state, {"head": pull.head_sha, "base": pull.base_sha}
    metadata = {"number": number, "state": state, "labels": list(issue.labels), **more}
    body = f"# {issue.title}\n\n{issue.body}" if issue.body else f"# {issue.title}"
    return Thing(type="pull_request" if pull else "issue", name=issue.title, body=body, parts=parts, metadata=metadata)


def _file(shelf: Shelf, path: str, sha: str) -> Thing:
    content = shelf.git.blob(sha)
    unread = len(content) > 1_000_000 or b"\0" in content or content.startswith(LFS[:20].encode())
    text = "" if unread else content.decode()
    return Thing(type="file", name=path.rsplit("/", 1)[-1], path=path, body=text, revision=sha)


def _one(found: list[Any], dice: Random) -> Any:
    if not found:
        raise NotPossible("there is none")
    return dice.choice(found)


def open_stage(state: Path) -> GithubStage:
    return GithubStage(state)

"""Fifty random pushes to the played GitHub: after each one the copy and the told changes are what git says."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import Any

from tests.integration.sync.hub import NO_FILES, Hub, Row, joined

PUSHES = 50
COMPARE_LIMIT = 300
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n"


class Pusher:
    """Makes one push up at a time, from what git says is there now."""

    def __init__(self, hub: Hub, seed: int) -> None:
        self.hub = hub
        self.dice = random.Random(seed)
        self.number = 0
        self.free: list[str] = []
        self.links: list[str] = []
        self.modules: list[str] = []

    def first(self) -> dict[str, Any]:
        texts = {f"src/m{n % 4}/f{n}.py": self.text() for n in range(40)}
        bytes_ = {f"img/p{n}.bin": self.noise() for n in range(6)}
        return {**texts, **bytes_, "VERSION": "1", "copy/a.txt": "the same\n", "copy/b.txt": "the same\n"}

    def text(self) -> str:
        return "".join(f"{self.dice.choice('abcdef') * 9} = {self.dice.random()}\n" for _ in range(20))

    def noise(self) -> dict[str, str]:
        return {"base64": base64.b64encode(b"\0" + self.dice.randbytes(600)).decode()}

    def next(self) -> dict[str, Any]:
        """Edits never meet in one path, so that each is seen as what it is."""
        self.number += 1
        tree = self.hub.ls_tree()
        self.free = [path for path, (mode, _) in sorted(tree.items()) if mode not in NO_FILES]
        self.links = [path for path, (mode, _) in sorted(tree.items()) if mode == "120000"]
        self.modules = [path for path, (mode, _) in sorted(tree.items()) if mode == "160000"]
        self.dice.shuffle(self.free)
        push: dict[str, Any] = {
            "files": {}, "delete": [], "rename": {}, "links": {}, "submodules": {}, "executable": {},
        }  # fmt: skip
        if self.number in (13, 37):
            push["files"] = {f"bulk{self.number}/{n}.txt": f"{self.number} {n}\n" for n in range(320)}
        if self.number == 14:
            push["rename"] = {path: f"moved/{path}" for path in self.free if path.startswith("bulk13/")}
            self.free = [path for path in self.free if path not in push["rename"]]
        kinds: list[Callable[[dict[str, Any]], None]] = [
            self.edit, self.edit, self.add, self.add_bytes, self.remove, self.move, self.move_and_edit, self.mode,
            self.mode_and_edit, self.link, self.module, self.lfs, self.one_line, self.double, self.onto, self.folder,
            self.into_link,
        ]  # fmt: skip
        for kind in self.dice.sample(kinds, self.dice.randint(1, 6)):
            kind(push)
        return push

    def path(self, ending: str = "txt") -> str:
        return f"{self.dice.choice('xyz')}/{self.number}-{self.dice.randrange(10**6)}.{ending}"

    def edit(self, push: dict[str, Any]) -> None:
        push["files"][self.free.pop()] = self.text()

    def add(self, push: dict[str, Any]) -> None:
        push["files"][self.path("py")] = self.text()

    def add_bytes(self, push: dict[str, Any]) -> None:
        push["files"][self.path("bin")] = self.noise()

    def remove(self, push: dict[str, Any]) -> None:
        push["delete"].append(self.free.pop())

    def move(self, push: dict[str, Any]) -> None:
        push["rename"][self.free.pop()] = self.path()

    def move_and_edit(self, push: dict[str, Any]) -> None:
        """Similar enough for GitHub to call it renamed."""
        old, new = self.free.pop(), self.path()
        content = self.hub.git("cat-file", "blob", self.hub.ls_tree()[old][1]) if not old.endswith(".bin") else "x\n"
        push["rename"][old] = new
        push["files"][new] = content + f"one more line {self.number}\n"

    def mode(self, push: dict[str, Any]) -> None:
        path = self.free.pop()
        push["executable"][path] = self.hub.ls_tree()[path][0] == "100644"

    def mode_and_edit(self, push: dict[str, Any]) -> None:
        path = self.free.pop()
        push["executable"][path] = self.hub.ls_tree()[path][0] == "100644"
        push["files"][path] = self.text()

    def link(self, push: dict[str, Any]) -> None:
        """A new one, or one that is turned to another file; some lead nowhere."""
        path = self.links[-1] if self.links and self.dice.random() < 0.4 else self.path("lnk")
        push["links"][path] = self.dice.choice([f"../{self.free[0]}", "nowhere", "../VERSION"])

    def module(self, push: dict[str, Any]) -> None:
        path = self.modules[-1] if self.modules and self.dice.random() < 0.5 else f"vendor/{self.number}"
        push["submodules"][path] = self.dice.randbytes(20).hex()

    def lfs(self, push: dict[str, Any]) -> None:
        push["files"][self.path("psd")] = LFS.format(self.dice.randbytes(32).hex())

    def one_line(self, push: dict[str, Any]) -> None:
        """Looks in a comparison like a link."""
        push["files"][self.path("txt")] = f"{self.number} without a newline"

    def double(self, push: dict[str, Any]) -> None:
        """One blob that leaves one path and comes to two: nobody can say which of them it is."""
        path = self.free.pop()
        content = self.hub.git("show", f"main:{path}") if not path.endswith(".bin") else "x\n"
        push["delete"].append(path)
        push["files"] |= {self.path(): content, self.path(): content}

    def onto(self, push: dict[str, Any]) -> None:
        push["rename"][self.free.pop()] = self.free.pop()

    def folder(self, push: dict[str, Any]) -> None:
        """A whole folder goes elsewhere."""
        top = self.dice.choice(sorted({path.split("/")[0] for path in self.free if "/" in path}))
        inside = [path for path in self.free if path.startswith(f"{top}/")][:20]
        self.free = [path for path in self.free if path not in inside]
        push["rename"] |= {path: f"w{self.number}/{path}" for path in inside}

    def into_link(self, push: dict[str, Any]) -> None:
        """A file becomes a link."""
        push["links"][self.free.pop()] = f"../{self.free[0]}"


async def test_after_each_of_fifty_random_pushes_the_copy_and_the_rows_are_what_git_says(hub: Hub) -> None:
    pusher = Pusher(hub, seed=20261125)
    await hub.begin(pusher.first())
    assert await hub.one("SELECT count(*) FROM push") == 0
    seen = {"forced": 0, "merges": 0, "renames": 0, "within": 0}
    for number in range(1, PUSHES + 1):
        push = pusher.next()
        how: dict[str, Any] = {}
        if number % 7 == 0:
            how = {"force": True, **({"to": hub.git("rev-parse", "main~2").strip()} if number % 2 else {})}
            push = {"files": push["files"], "links": push["links"], "submodules": push["submodules"]}
        elif number % 9 == 0:
            await hub.change("push", branch=f"side-{number}", files={f"side/{number}.py": pusher.text()})
            how = {"merge": f"side-{number}"}
        before, after, requests = await hub.pushed(**push, **how)

        raw = hub.raw(before, after)
        expected, told = joined(raw), await hub.rows(after)
        unknown = {row.path for row in raw if row.old_mode in NO_FILES}
        assert [_known(row, unknown) for row in told] == [_known(row, unknown) for row in expected], number
        renames = {(row.previous_path, row.path) for row in told if row.status == "renamed"}
        assert renames <= hub.exact_renames(before, after), number
        files = {path: blob for path, (mode, blob) in hub.ls_tree(after).items() if mode not in NO_FILES}
        assert await hub.held() == files, number
        assert await hub.one("SELECT forced FROM push ORDER BY id DESC LIMIT 1") == bool(how.get("force"))
        if not how.get("force") and len(raw) < COMPARE_LIMIT:
            assert requests <= 2 + len(expected), (number, hub.wire.asked[-requests:])
            seen["within"] += 1
        seen["forced"] += "force" in how
        seen["merges"] += "merge" in how
        seen["renames"] += len(renames)
    assert await hub.one("SELECT count(*) FROM push") == PUSHES
    assert min(seen.values()) >= 5, seen
    assert await hub.one("SELECT count(*) FROM source WHERE metadata->>'skipped' = 'LFS pointer'") > 0


def _known(row: Row, unknown: set[str]) -> Row:
    """What a link or a submodule was before is not told by a comparison, and so not asked of the rows."""
    return row._replace(previous_blob=None) if row.path in unknown else row

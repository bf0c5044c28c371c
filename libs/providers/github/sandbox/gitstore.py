"""One real git repository on disk: the copy of the checkout, and what GitHub computes from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import cast

import msgspec
import pygit2
from pygit2.enums import DeltaStatus, DiffOption, FileMode, SortMode

NAME = "sandbox-generator"
EMAIL = "sandbox-generator@sandbox.invalid"
ZERO = "0" * 40
LARGEST_COPIED_FILE = 5_000_000
STATUS = {
    DeltaStatus.ADDED: "added", DeltaStatus.DELETED: "removed", DeltaStatus.MODIFIED: "modified",
    DeltaStatus.RENAMED: "renamed", DeltaStatus.COPIED: "copied", DeltaStatus.TYPECHANGE: "changed",
}  # fmt: skip


Named = pygit2.Commit | pygit2.Tree | pygit2.Tag | pygit2.Blob


class FileChange(msgspec.Struct, kw_only=True):
    path: str
    status: str
    sha: str
    additions: int
    deletions: int
    patch: str | None
    previous: str | None


class Entry(msgspec.Struct, kw_only=True):
    path: str
    mode: str
    type: str
    sha: str
    size: int | None = None


class MergeConflict(Exception):
    pass


class GitStore:
    """Reads raise KeyError for what is not there; only what a shallow copy really has is ever used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            pygit2.init_repository(str(path), bare=True)
        self.repo = pygit2.Repository(str(path))

    # reading

    def head_of(self, branch: str) -> str:
        return str(self.repo.references[f"refs/heads/{branch}"].peel(pygit2.Commit).id)

    def branches(self) -> list[str]:
        return sorted(self.repo.branches.local)

    @property
    def empty(self) -> bool:
        return not self.branches()

    def commit(self, name: str) -> pygit2.Commit:
        """By branch, tag, or (abbreviated) sha."""
        return self._object(name).peel(pygit2.Commit)

    def _object(self, name: str) -> Named:
        for prefix in ("refs/heads/", "refs/tags/", "refs/pull/"):
            if prefix + name in self.repo.references:
                return self.repo.references[prefix + name].peel(pygit2.Commit)
        try:
            return cast(Named, self.repo[name])
        except ValueError as not_hex:
            raise KeyError(name) from not_hex

    def tree(self, name: str) -> tuple[pygit2.Tree, str]:
        """The tree, and the sha of what was named (a commit or the tree itself)."""
        found = self._object(name)
        try:
            return found.peel(pygit2.Tree), str(found.id)
        except pygit2.InvalidSpecError as no_tree:
            raise KeyError(name) from no_tree

    def entries(self, tree: pygit2.Tree, *, recursive: bool, limit: int) -> tuple[list[Entry], bool]:
        walk = self._walk(tree, "", recursive=recursive)
        found = list(islice(walk, limit))
        return found, next(walk, None) is not None

    def _walk(self, tree: pygit2.Tree, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        for item in tree:
            path = f"{prefix}{_shown(str(item.name))}"
            kind = item.type_str
            size = item.size if isinstance(item, pygit2.Blob) else None
            yield Entry(path=path, mode=f"{item.filemode:06o}", type=kind, sha=str(item.id), size=size)
            if recursive and isinstance(item, pygit2.Tree):
                yield from self._walk(item, path + "/", recursive=True)

    def blob(self, sha: str) -> bytes:
        try:
            found = self.repo[sha]
        except ValueError as not_hex:
            raise KeyError(sha) from not_hex
        if not isinstance(found, pygit2.Blob):
            raise KeyError(sha)
        return found.data

    def at(self, tree: pygit2.Tree, path: str) -> pygit2.Object:
        return tree[path] if path else tree

    def log(self, start: str) -> Iterator[pygit2.Commit]:
        """Newest first, down to where the history (or the shallow copy) ends."""
        yield from self.repo.walk(self.commit(start).id, SortMode.TOPOLOGICAL | SortMode.TIME)

    def changes(self, old: pygit2.Tree | None, new: pygit2.Tree, limit: int | None = None) -> list[FileChange]:
        """What turns one tree into the other, renames found as git finds them; the empty tree for None."""
        flags = DiffOption.INCLUDE_TYPECHANGE
        diff = old.diff_to_tree(new, flags) if old is not None else new.diff_to_tree(flags=flags, swap=True)
        diff.find_similar()
        return [_change(patch) for patch in islice(diff, limit) if patch is not None]

    def touched(self, commit: pygit2.Commit) -> list[FileChange]:
        return self.changes(commit.parents[0].tree if commit.parents else None, commit.tree)

    def merge_base(self, base: pygit2.Commit, head: pygit2.Commit) -> pygit2.Commit | None:
        found = self.repo.merge_base(base.id, head.id)
        return None if found is None else self.repo[found].peel(pygit2.Commit)

    def between(self, base: pygit2.Commit, head: pygit2.Commit) -> list[pygit2.Commit]:
        """Commits of head that base has not, oldest first."""
        walker = self.repo.walk(head.id, SortMode.TOPOLOGICAL | SortMode.TIME | SortMode.REVERSE)
        walker.hide(base.id)
        return list(walker)

    # writing

    def write(
        self,
        *,
        parents: list[str],
        files: dict[str, bytes | None],
        renames: dict[str, str],
        message: str,
        when: int,
        also: Callable[[pygit2.Index], None] = lambda index: None,
    ) -> str:
        """A commit on top of the first parent's tree; None removes a path. Moves no branch."""
        index = pygit2.Index()
        if parents:
            index.read_tree(self.commit(parents[0]).tree)
        for old, new in renames.items():
            entry = index[old]
            index.remove(old)
            index.add(pygit2.IndexEntry(new, entry.id, entry.mode))
        for path, content in files.items():
            if content is None:
                index.remove(path)
            else:
                mode = index[path].mode if path in index else FileMode.BLOB
                index.add(pygit2.IndexEntry(path, self.repo.create_blob(content), mode))
        also(index)
        return self.write_tree(str(index.write_tree(self.repo)), parents, message, when)

    def write_tree(self, tree: str, parents: list[str], message: str, when: int) -> str:
        who = pygit2.Signature(NAME, EMAIL, when, 0)
        oids: list[str | pygit2.Oid] = [pygit2.Oid(hex=parent) for parent in parents]
        return str(self.repo.create_commit(None, who, who, message, pygit2.Oid(hex=tree), oids))

    def merge(self, base: str, head: str, message: str, when: int) -> str:
        merged = self.repo.merge_commits(pygit2.Oid(hex=base), pygit2.Oid(hex=head))
        if merged.conflicts is not None:
            raise MergeConflict(f"{head} does not merge into {base}")
        return self.write_tree(str(merged.write_tree(self.repo)), [base, head], message, when)

    def point(self, ref: str, sha: str) -> None:
        self.repo.references.create(f"refs/{ref}", pygit2.Oid(hex=sha), force=True)

    def remove_branch(self, branch: str) -> None:
        self.repo.references.delete(f"refs/heads/{branch}")


def _change(patch: pygit2.Patch) -> FileChange:
    delta = patch.delta
    _, added, removed = patch.line_stats
    gone = delta.status == DeltaStatus.DELETED
    moved = delta.status in (DeltaStatus.RENAMED, DeltaStatus.COPIED)
    return FileChange(
        path=_shown(delta.old_file.path if gone else delta.new_file.path),
        status=STATUS.get(delta.status, "unchanged"),
        sha=str(delta.old_file.id if gone else delta.new_file.id),
        additions=added,
        deletions=removed,
        patch=None if delta.is_binary else _hunks(patch),
        previous=_shown(delta.old_file.path) if moved else None,
    )


def _shown(path: str) -> str:
    """Git's paths are bytes; JSON shows what is no UTF-8 in them with U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _hunks(patch: pygit2.Patch) -> str | None:
    """GitHub shows the hunks alone; a pure rename or a mode change has none."""
    text = patch.data.decode("utf-8", "replace")
    start = text.find("\n@@ ")
    return None if start < 0 else text[start + 1 :].removesuffix("\n")


def copy_checkout(root: Path, path: Path, when: int) -> tuple[GitStore, str]:
    """A repository of its own made from the checkout, shallow or not; answers it and its default branch.

    Without a commit to copy, one is made of the working files, leaving out what .gitignore leaves out.
    """
    shutil.rmtree(path, ignore_errors=True)
    pygit2.init_repository(str(path), bare=True)
    source = _git_dir(root)
    if source is not None:
        _copy_objects(*source, path)
    store = GitStore(path)
    if store.repo.head_is_unborn:
        return _from_working_files(root, store, when)
    tip = store.repo.head.peel(pygit2.Commit)
    branch = "main" if store.repo.head_is_detached else store.repo.head.shorthand
    store.point(f"heads/{branch}", str(tip.id))
    return store, branch


def _git_dir(root: Path) -> tuple[Path, Path] | None:
    """The checkout's own git folder and the one that holds the objects (they differ in a linked worktree)."""
    folder = root / ".git"
    if folder.is_file():
        folder = (root / folder.read_text().removeprefix("gitdir:").strip()).resolve()
    if not (folder / "HEAD").exists():
        return None
    shared = folder / "commondir"
    return folder, (folder / shared.read_text().strip()).resolve() if shared.exists() else folder


def _copy_objects(own: Path, shared: Path, path: Path) -> None:
    # References first: the objects copied after them can only be more than they need.
    for name in ("refs/heads", "refs/tags"):
        if (shared / name).exists():
            shutil.copytree(shared / name, path / name, dirs_exist_ok=True)
    for folder, name in ((shared, "packed-refs"), (shared, "shallow"), (own, "HEAD")):
        if (folder / name).exists():
            shutil.copyfile(folder / name, path / name)
    ignore = shutil.ignore_patterns("tmp_*", "*.lock", "incoming-*")
    shutil.copytree(shared / "objects", path / "objects", ignore=ignore, dirs_exist_ok=True)


def _from_working_files(root: Path, store: GitStore, when: int) -> tuple[GitStore, str]:
    store.repo.workdir = str(root)
    files: dict[str, bytes | None] = {}
    for name in sorted(store.repo.status(untracked_files="all")):
        file = root / name
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= LARGEST_COPIED_FILE:
            files[name] = file.read_bytes()
    sha = store.write(parents=[], files=files, renames={}, message="Working files of the checkout", when=when)
    store.point("heads/main", sha)
    store.repo.set_head("refs/heads/main")
    return GitStore(store.path), "main"

"""What turned one tree into another, path by path: the same rows whether a comparison or two trees tell it.

GitHub's comparison calls a file renamed when it is only similar. Here a rename is one blob that left one path and came
to one other (git's `-M100%`, and only where no second path has the same blob); anything else is removed and added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from libs.common.provider.sync import ChangedFile
from libs.providers.github.objects import shown_patch
from libs.providers.github.payloads import FileChange, TreeEntry


class Spot(NamedTuple):
    """What stands at a path. The mode is "" where nobody told it."""

    sha: str
    mode: str

    @property
    def kind(self) -> str:
        """`100` a file, `120` a link, `160` a submodule."""
        return self.mode[:3]


def spots(entries: Iterable[TreeEntry]) -> dict[str, Spot]:
    return {entry.path: Spot(entry.sha, entry.mode) for entry in entries if entry.type != "tree"}


def between(old: Mapping[str, Spot], new: Mapping[str, Spot]) -> tuple[ChangedFile, ...]:
    """Two whole trees, submodules and links included as git lists them."""
    rows = (_row(path, old.get(path), new.get(path)) for path in old.keys() | new.keys())
    return joined([row for row in rows if row is not None])


def _row(path: str, old: Spot | None, new: Spot | None) -> ChangedFile | None:
    if old is None:
        return ChangedFile(path=path, status="added", blob_id=new.sha if new else None)
    if new is None:
        return ChangedFile(path=path, status="removed", previous_blob_id=old.sha)
    modes_told = bool(old.mode and new.mode)
    if old.sha == new.sha and not (modes_told and old.mode != new.mode):
        return None
    changed = modes_told and old.kind != new.kind
    return ChangedFile(
        path=path, status="changed" if changed else "modified", blob_id=new.sha, previous_blob_id=old.sha
    )


def compared(files: Sequence[FileChange], held: Mapping[str, str]) -> tuple[ChangedFile, ...]:
    """A comparison's files; `held` has the blobs that stood at their old paths, as far as those were files."""
    return joined([row for file in files for row in _told(file, held)])


def _told(file: FileChange, held: Mapping[str, str]) -> list[ChangedFile]:
    if file.status == "removed":
        return [_removed(file.filename, held.get(file.filename, file.sha), file.deletions)]
    if file.status == "added":
        return [_added(file, additions=file.additions)]
    if file.status == "renamed" and file.previous_filename:
        # What we do not hold is no file but a link or a submodule: without a changed line it is the same one.
        same = None if file.additions or file.deletions else file.sha
        before = held.get(file.previous_filename, same)
        return [_removed(file.previous_filename, before, None), _added(file, additions=None)]
    if file.status == "copied":
        return [_added(file, additions=None)]
    if file.status == "unchanged":
        return []
    return [
        ChangedFile(
            path=file.filename, status="changed" if file.status == "changed" else "modified", blob_id=file.sha,
            previous_blob_id=held.get(file.filename), additions=file.additions, deletions=file.deletions,
            patch=shown_patch(file),
        )
    ]  # fmt: skip


def _removed(path: str, blob: str | None, deletions: int | None) -> ChangedFile:
    additions = None if deletions is None else 0
    return ChangedFile(path=path, status="removed", previous_blob_id=blob, additions=additions, deletions=deletions)


def _added(file: FileChange, *, additions: int | None) -> ChangedFile:
    """Counts and patch of a similarity are of another file: they are left out."""
    told = additions is not None
    return ChangedFile(
        path=file.filename, status="added", blob_id=file.sha, additions=additions, deletions=0 if told else None,
        patch=shown_patch(file) if told else None,
    )  # fmt: skip


def joined(rows: Sequence[ChangedFile]) -> tuple[ChangedFile, ...]:
    """In order of path, with the renames that are proven."""
    gone = _alone((row.previous_blob_id, row) for row in rows if row.status == "removed")
    came = _alone((row.blob_id, row) for row in rows if row.status == "added")
    moved = {blob: (gone[blob], came[blob]) for blob in gone.keys() & came.keys()}
    paired = {row.path for pair in moved.values() for row in pair}
    kept = [row for row in rows if row.path not in paired or row.status not in ("removed", "added")]
    renames = [
        ChangedFile(
            path=new.path, previous_path=old.path, status="renamed", additions=0, deletions=0, blob_id=blob,
            previous_blob_id=blob,
        )
        for blob, (old, new) in moved.items()
    ]  # fmt: skip
    return tuple(sorted([*kept, *renames], key=lambda row: row.path))


def _alone(pairs: Iterable[tuple[str | None, ChangedFile]]) -> dict[str, ChangedFile]:
    """The blobs that stand at exactly one of these paths."""
    found: dict[str, list[ChangedFile]] = {}
    for blob, row in pairs:
        if blob:
            found.setdefault(blob, []).append(row)
    return {blob: rows[0] for blob, rows in found.items() if len(rows) == 1}

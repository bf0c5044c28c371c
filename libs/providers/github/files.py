"""One file again: by its blob, or by its path where only its bytes can prove what it is."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from hashlib import sha1
from urllib.parse import quote

import msgspec

from libs.common.errors import LostSight, ResourceGone
from libs.common.provider.client import HttpAnswer
from libs.common.provider.sync import Gone, Listed, Observed, Quarantined, SyncContext
from libs.common.provider.text_kinds import decode_text
from libs.providers.github.client import HEADERS, check_status, decode, note_budget
from libs.providers.github.parents import root, see_parent
from libs.providers.github.payloads import Blob, Content, FileChange

MAX_FILE_BYTES = 1_000_000
TOO_LARGE = "too large"
LFS = b"version https://git-lfs.github.com/spec/v1\n"
Fetched = Observed | Gone | Quarantined


async def fetch(ctx: SyncContext, listed: Sequence[Listed]) -> list[Fetched]:
    return [await _fetch(ctx, one) for one in listed]


def may_be_no_file(file: FileChange) -> bool:
    """A comparison tells no modes: a link or a submodule looks like one changed line, or like none that is shown."""
    patch = file.patch
    unshown = patch is None or "\\ No newline" in patch or "Subproject commit" in patch
    return file.sha is None or (file.additions <= 1 and unshown)


async def _fetch(ctx: SyncContext, listed: Listed) -> Fetched:
    if "commit" in listed.facts or not listed.revision:
        return await _by_path(ctx, listed)
    size = int(listed.facts.get("size", 0))
    if size > MAX_FILE_BYTES:
        return _file(ctx, listed, None, size)
    return await _by_blob(ctx, listed)


async def _by_blob(ctx: SyncContext, listed: Listed) -> Fetched:
    """Immutable, so what is read is what was listed."""
    try:
        answer = await _ask(ctx, f"/git/blobs/{listed.revision}")
    except ResourceGone as error:
        raise LostSight("a listed blob is not readable") from error
    if answer is None:
        return _file(ctx, listed, None, None)
    blob = decode(answer, Blob)
    content = b64decode(blob.content) if blob.encoding == "base64" else blob.content.encode()
    return _file(ctx, listed, content, len(content))


async def _by_path(ctx: SyncContext, listed: Listed) -> Fetched:
    """What stands at the path, of the commit it was listed in or now. A link that names a file is answered with that
    file (docs: "Get repository content"), so only bytes with the listed id prove that it is a file itself."""
    try:
        return await _at_path(ctx, listed)
    except ResourceGone:
        await see_parent(ctx)
    try:
        return await _at_path(ctx, listed)
    except ResourceGone as error:
        return Gone(key=listed.key, proof=f"{error.detail}, twice, and its repository is visible")


async def _at_path(ctx: SyncContext, listed: Listed) -> Fetched:
    commit, path = listed.facts.get("commit"), quote(listed.key.removeprefix("file:"))
    answer = await _ask(ctx, f"/contents/{path}", params={"ref": str(commit)} if commit else None)
    return _file(ctx, listed, None, None) if answer is None else _proven(ctx, listed, answer)


async def _ask(ctx: SyncContext, url: str, params: Mapping[str, str] | None = None) -> HttpAnswer | None:
    """None for what is too large to be answered: above 100 MB (docs: "Get a blob", "Get repository content")."""
    answer = await ctx.http.request("GET", f"{root(ctx)}{url}", headers=HEADERS, params=params)
    note_budget(ctx.http, answer)
    if answer.status == 403 and b'"too_large"' in answer.body:
        return None
    check_status(answer)
    return answer


def _proven(ctx: SyncContext, listed: Listed, answer: HttpAnswer) -> Fetched:
    found = decode(answer, Content | list[msgspec.Raw])  # type: ignore[arg-type]  # a folder is answered as a list
    if not isinstance(found, Content) or found.type != "file":
        return Gone(key=listed.key, proof="no file stands at this path")
    revision = listed.revision or found.sha
    known = msgspec.structs.replace(listed, revision=revision)
    if found.encoding == "none" and found.size > MAX_FILE_BYTES and found.sha == revision:
        return _file(ctx, known, None, found.size)
    content = b64decode(found.content)
    if blob_id(content) != revision:
        return Gone(key=listed.key, proof="a symbolic link or a submodule stands at this path")
    return _file(ctx, known, content, len(content))


def blob_id(content: bytes) -> str:
    """Git's own name for these bytes (git-hash-object)."""
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _file(ctx: SyncContext, listed: Listed, content: bytes | None, size: int | None) -> Observed:
    """`content` None: not read, because it is too large."""
    path = listed.key.removeprefix("file:")
    assert ctx.resource is not None  # noqa: S101 - a file is always a repository's
    text, skipped = _text(content)
    return Observed(
        key=listed.key,
        type="file",
        name=path.rsplit("/", 1)[-1],
        path=path,
        url=f"{ctx.resource.url}/blob/HEAD/{quote(path)}",  # HEAD stays true when the default branch changes
        content=text or "",
        content_type="text/plain" if text is not None else "application/octet-stream",
        revision=listed.revision,
        previous_key=listed.previous_key,
        metadata={"size": size, "blob": listed.revision, "skipped": skipped},
    )


def _text(content: bytes | None) -> tuple[str | None, str | None]:
    """(text, why there is none)."""
    if content is None or len(content) > MAX_FILE_BYTES:
        return None, TOO_LARGE
    if content.startswith(LFS):
        return None, "LFS pointer"  # the bytes are in another store; the pointer's words are nobody's
    text = decode_text(content)
    return text, None if text is not None else "binary"

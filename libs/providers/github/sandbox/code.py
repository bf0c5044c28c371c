"""Code as GitHub serves it: branches, commits, compare, trees, blobs and contents, computed from real git."""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec
import pygit2

from libs.providers.github.sandbox import shapes
from libs.providers.github.sandbox.call import Call, Refused, not_found, ok, raw, route
from libs.providers.github.sandbox.listing import number, ordered, page, since
from libs.providers.github.sandbox.records import Switches
from libs.sandbox.contract import Answer

FILES_OF_A_COMMIT = 300
MOST_LISTED_COMMITS = 5000
LARGEST_INLINE = 1_000_000
LARGEST = 100_000_000
RAW = "application/vnd.github.raw+json"


def _there(call: Call) -> None:
    if call.shelf.git.empty:
        raise Refused(409, "Git Repository is empty.")


def _found(read: Callable[[], Any], otherwise: Refused | None = None) -> Any:
    try:
        return read()
    except (KeyError, pygit2.InvalidSpecError) as missing:
        raise otherwise or not_found() from missing


def branches(call: Call) -> Answer:
    shelf = call.shelf
    rows = ordered(list(enumerate(shelf.git.branches())), lambda row: (row[0], 0), descending=False)
    return page(call, rows, lambda row: msgspec.json.encode(_branch(call, row[1], whole=False)))


def branch(call: Call) -> Answer:
    return ok(_found(lambda: _branch(call, call.params["branch"], whole=True), Refused(404, "Branch not found")))


def _branch(call: Call, name: str, *, whole: bool) -> dict[str, Any]:
    repo, git = call.shelf.repo, call.shelf.git
    sha = git.head_of(name)
    url = f"{shapes.repo_api(repo)}/branches/{name}"
    short = {"sha": sha, "url": f"{shapes.repo_api(repo)}/commits/{sha}"}
    shape = {"name": name, "commit": shapes.commit(repo, git.commit(sha)) if whole else short, "protected": False}
    links = {"self": url, "html": f"{shapes.repo_web(repo)}/tree/{name}"}
    return {**shape, "_links": links, "protection_url": f"{url}/protection"} if whole else shape


def ref(call: Call) -> Answer:
    _there(call)
    name, repo = call.params["branch"], call.shelf.repo
    sha = _found(lambda: call.shelf.git.head_of(name))
    url = f"{shapes.repo_api(repo)}/git"
    return ok(
        {
            "ref": f"refs/heads/{name}", "node_id": shapes.node("Ref", name), "url": f"{url}/refs/heads/{name}",
            "object": {"sha": sha, "type": "commit", "url": f"{url}/commits/{sha}"},
        }
    )  # fmt: skip


def commits(call: Call) -> Answer:
    _there(call)
    start = call.query.get("sha") or call.shelf.repo.default_branch
    after, until, path = since(call), since(call, "until"), call.query.get("path")
    log = _found(lambda: list(islice(call.shelf.git.log(start), MOST_LISTED_COMMITS)))
    found = [
        it
        for it in log
        if (after is None or it.commit_time >= after)
        and (until is None or it.commit_time <= until)
        and (not path or _touches(it, path))
    ]
    rows = ordered(list(enumerate(found)), lambda row: (row[0], 0), descending=False)
    return page(call, rows, lambda row: msgspec.json.encode(shapes.commit(call.shelf.repo, row[1])))


def _touches(commit: pygit2.Commit, path: str) -> bool:
    """Did this commit change what stands at the path, compared with its first parent."""
    before = _id_at(commit.parents[0].tree, path) if commit.parents else None
    return _id_at(commit.tree, path) != before


def _id_at(tree: pygit2.Tree, path: str) -> pygit2.Oid | None:
    try:
        return tree[path].id
    except KeyError:
        return None


def commit(call: Call) -> Answer:
    """With its files, 300 a page up to 3,000; the sha media type answers the bare sha."""
    _there(call)
    name, shelf = call.params["ref"], call.shelf
    found = _found(lambda: shelf.git.commit(name), Refused(422, f"No commit found for SHA: {name}"))
    if call.wanted("sha"):
        return raw(str(found.id).encode(), "application/vnd.github.sha; charset=utf-8")
    touched = shelf.git.touched(found)
    files = [msgspec.Raw(msgspec.json.encode(shapes.changed_file(shelf.repo, f, str(found.id)))) for f in touched]
    at = max(number(call.query.get("page"), 1), 1)
    shown = files[(at - 1) * FILES_OF_A_COMMIT : at * FILES_OF_A_COMMIT]
    stats = {"additions": sum(f.additions for f in touched), "deletions": sum(f.deletions for f in touched)}
    total = sum(stats.values())
    body = {**shapes.commit(shelf.repo, found), "stats": {**stats, "total": total}, "files": shown}
    if len(files) <= at * FILES_OF_A_COMMIT:
        return ok(body)
    following = f"{shapes.API}/repositories/{shelf.repo.id}/commits/{found.id}?page={at + 1}"
    return ok(body, link=f'<{following}>; rel="next"')


def compare(call: Call) -> Answer:
    """Three-dot: files are what head did since the two parted, on the first page only and 300 at most."""
    _there(call)
    shelf, (base_name, head_name) = call.shelf, (call.params["base"], call.params["head"])
    base, head = _found(lambda: (shelf.git.commit(base_name), shelf.git.commit(head_name)))
    parted = shelf.git.merge_base(base, head)
    if parted is None:
        raise Refused(404, f"No common ancestor between {base_name} and {head_name}.")
    ahead, behind = shelf.git.between(base, head), shelf.git.between(head, base)
    files = shelf.git.changes(parted.tree, head.tree, call.switches.compare_file_limit)
    first = number(call.query.get("page"), 1) <= 1
    url, web = f"{shapes.repo_api(shelf.repo)}/compare/{base_name}...{head_name}", shapes.repo_web(shelf.repo)
    return ok(
        {
            "url": url, "html_url": f"{web}/compare/{base_name}...{head_name}",
            "permalink_url": f"{web}/compare/{base.id}...{head.id}", "diff_url": f"{web}/compare.diff",
            "patch_url": f"{web}/compare.patch", "base_commit": shapes.commit(shelf.repo, base),
            "merge_base_commit": shapes.commit(shelf.repo, parted), "status": _status(len(ahead), len(behind)),
            "ahead_by": len(ahead), "behind_by": len(behind), "total_commits": len(ahead),
            "commits": [shapes.commit(shelf.repo, it) for it in ahead[: call.switches.compare_commit_limit]],
            "files": [shapes.changed_file(shelf.repo, f, str(head.id)) for f in files] if first else [],
        }
    )  # fmt: skip


def _status(ahead: int, behind: int) -> str:
    if ahead and behind:
        return "diverged"
    return "ahead" if ahead else "behind" if behind else "identical"


def tree(call: Call) -> Answer:
    """`recursive` with any value, also 0 or false, means recursive."""
    _there(call)
    shelf, switches, name = call.shelf, call.switches, call.params["sha"]
    found, named = _found(lambda: shelf.git.tree(name))
    recursive = "recursive" in call.query
    sha = named if switches.tree_echoes_commit else str(found.id)
    # A tree never changes under its id, so it is made once; a rename of the repository forgets it.
    key = (f"tree {sha} {found.id} {recursive}", 0)
    if key not in shelf.rendered:
        shelf.rendered[key] = msgspec.json.encode(_tree(call, found, sha, recursive, switches))
    return Answer(200, shelf.rendered[key])


def _tree(call: Call, found: pygit2.Tree, sha: str, recursive: bool, switches: Switches) -> dict[str, Any]:
    entries, truncated = call.shelf.git.entries(found, recursive=recursive, limit=switches.tree_limit)
    git = f"{shapes.repo_api(call.shelf.repo)}/git"
    items = []
    for entry in entries:
        item: dict[str, Any] = {"path": entry.path, "mode": entry.mode, "type": entry.type, "sha": entry.sha}
        if entry.size is not None:
            item["size"] = entry.size
        if entry.type != "commit":
            item["url"] = f"{git}/{'trees' if entry.type == 'tree' else 'blobs'}/{entry.sha}"
        items.append(item)
    return {"sha": sha, "url": f"{git}/trees/{sha}", "tree": items, "truncated": truncated}


def blob(call: Call) -> Answer:
    _there(call)
    sha, repo = call.params["sha"], call.shelf.repo
    data: bytes = _found(lambda: call.shelf.git.blob(sha))
    if len(data) > LARGEST:
        raise Refused(403, "This API returns blobs up to 100 MB in size.", errors=[_too_large("data")])
    if call.wanted("raw"):
        return raw(data, f"{RAW}; charset=utf-8")
    return ok(
        {
            "sha": sha, "node_id": shapes.node("Blob", sha), "size": len(data), "encoding": "base64",
            "url": f"{shapes.repo_api(repo)}/git/blobs/{sha}", "content": _base64(data),
        }
    )  # fmt: skip


def _too_large(field: str) -> dict[str, str]:
    return {"resource": "Blob", "field": field, "code": "too_large"}


def _base64(data: bytes) -> str:
    """With newlines, as GitHub sends it: a decoder that minds them would fail on the real thing."""
    text = base64.b64encode(data).decode()
    return "".join(text[at : at + 60] + "\n" for at in range(0, len(text), 60))


def contents(call: Call) -> Answer:
    _there(call)
    shelf, path = call.shelf, call.params.get("path", "").strip("/")
    wanted = call.query.get("ref") or shelf.repo.default_branch
    commit = _found(lambda: shelf.git.commit(wanted), Refused(404, f"No commit found for the ref {wanted}"))
    found = _found(lambda: shelf.git.at(commit.tree, path))
    if isinstance(found, pygit2.Tree):
        listed = [_content(call, item, f"{path}/{item.name}".lstrip("/"), wanted) for item in islice(found, 1000)]
        return ok(listed)
    if isinstance(found, pygit2.Blob) and found.filemode == pygit2.enums.FileMode.LINK:
        found = _target(commit.tree, path, found)
    special = _special(found)
    if isinstance(found, pygit2.Blob) and call.wanted("raw"):
        return raw(found.data, f"{RAW}; charset=utf-8")
    shape = {**_content(call, found, path, wanted), **special}
    if isinstance(found, pygit2.Blob) and not special:
        inline = len(found.data) <= LARGEST_INLINE
        shape |= {"content": _base64(found.data) if inline else "", "encoding": "base64" if inline else "none"}
    return ok(shape)


def _special(found: pygit2.Object) -> dict[str, Any]:
    """A link that names no file here, and a submodule, are described; neither has content."""
    if isinstance(found, pygit2.Blob):
        return (
            {"type": "symlink", "target": found.data.decode()} if found.filemode == pygit2.enums.FileMode.LINK else {}
        )
    return {"type": "submodule", "submodule_git_url": None}


def _target(tree: pygit2.Tree, path: str, link: pygit2.Blob) -> pygit2.Object:
    """A symlink to a file in the repository answers that file; any other stays itself."""
    parts = path.split("/")[:-1]
    for part in link.data.decode("utf-8", "replace").split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    try:
        found = tree["/".join(parts)]
    except KeyError:
        return link
    return found if isinstance(found, pygit2.Blob) else link


def _content(call: Call, item: pygit2.Object, path: str, ref: str) -> dict[str, Any]:
    """A submodule says that it is a file, as GitHub's listing does."""
    api, web, sha = shapes.repo_api(call.shelf.repo), shapes.repo_web(call.shelf.repo), str(item.id)
    directory = isinstance(item, pygit2.Tree)
    url, git = f"{api}/contents/{path}?ref={ref}", f"{api}/git/{'trees' if directory else 'blobs'}/{sha}"
    html = f"{web}/{'tree' if directory else 'blob'}/{ref}/{path}"
    return {
        "name": path.rpartition("/")[2], "path": path, "sha": sha,
        "size": item.size if isinstance(item, pygit2.Blob) else 0, "url": url, "html_url": html, "git_url": git,
        "download_url": None if directory else f"{web}/raw/{ref}/{path}", "type": "dir" if directory else "file",
        "_links": {"self": url, "git": git, "html": html},
    }  # fmt: skip


ROUTES = [
    route("GET", "/branches", branches),
    route("GET", "/branches/{branch+}", branch),
    route("GET", "/git/ref/heads/{branch+}", ref),
    route("GET", "/commits", commits),
    route("GET", "/commits/{ref+}", commit),
    route("GET", "/compare/{base+}\\.\\.\\.{head+}", compare),
    route("GET", "/git/trees/{sha+}", tree),
    route("GET", "/git/blobs/{sha}", blob),
    route("GET", "/contents/?", contents),
    route("GET", "/contents/{path+}", contents),
]

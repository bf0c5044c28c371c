"""Scopes as GitHub counts them: what each means, and which of them the others hold already."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Docs: "Scopes for OAuth apps".
MEANINGS = {
    "repo": "Full control of private repositories",
    "repo:status": "Read and write commit statuses",
    "public_repo": "Read and write public repositories",
    "repo:invite": "Accept repository invitations",
    "admin:repo_hook": "Full control of repository hooks",
    "write:repo_hook": "Write repository hooks",
    "read:repo_hook": "Read repository hooks",
    "admin:org_hook": "Full control of organisation hooks",
    "admin:org": "Full control of organisations and teams",
    "write:org": "Write organisation membership",
    "read:org": "Read organisation membership",
    "gist": "Create gists",
    "user": "Read and write all profile data",
    "read:user": "Read all profile data",
    "user:email": "Read e-mail addresses",
    "user:follow": "Follow and unfollow users",
}
HELD_BY = {
    "repo:status": "repo", "public_repo": "repo", "repo:invite": "repo",
    "read:repo_hook": "write:repo_hook", "write:repo_hook": "admin:repo_hook",
    "read:org": "write:org", "write:org": "admin:org",
    "read:user": "user", "user:email": "user", "user:follow": "user",
}  # fmt: skip


def asked(text: str) -> list[str]:
    """Separated by spaces; commas are taken too."""
    return [scope for scope in re.split(r"[\s,]+", text) if scope]


def normalised(scopes: Iterable[str]) -> list[str]:
    """`user,gist,user:email` becomes `user,gist`; what GitHub does not know is left out."""
    known = [scope for scope in dict.fromkeys(scopes) if scope in MEANINGS]
    return [scope for scope in known if not _above(scope) & set(known)]


def _above(scope: str) -> set[str]:
    above: set[str] = set()
    while (scope := HELD_BY.get(scope, "")) and scope not in above:
        above.add(scope)
    return above


def covers(granted: Iterable[str], wanted: Iterable[str]) -> bool:
    held = set(granted)
    return all(scope in held or _above(scope) & held for scope in wanted)

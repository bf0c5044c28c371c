"""Who asks and what they may see: the account, its repositories, and its budget."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.providers.github.sandbox import shapes
from libs.providers.github.sandbox.call import Call, Refused, ok, route
from libs.providers.github.sandbox.listing import ordered, page, since
from libs.providers.github.sandbox.records import Repo, Token
from libs.providers.github.sandbox.world import Shelf
from libs.sandbox.contract import Answer


def visible(shelf: Shelf, token: Token | None) -> bool:
    repo = shelf.repo
    if repo.deleted:
        return False
    if token is None or not {"repo", "public_repo"} & set(token.scopes):
        return not repo.private
    return token.repositories is None or repo.id in token.repositories


def account(call: Call) -> Answer:
    login = _token(call).login
    url = f"{shapes.API}/users/{login}"
    identity = shapes.account_id(login)
    return ok(
        {
            "login": login, "id": identity, "node_id": shapes.node("User", identity), "gravatar_id": "", "url": url,
            "avatar_url": f"{shapes.ORIGIN}/avatars/{identity}", "html_url": f"{shapes.ORIGIN}/{login}",
            **{name: url + suffix for name, suffix in shapes.USER_URLS.items()}, "type": "User", "site_admin": False,
            "name": login, "company": None, "blog": "", "location": None, "email": None, "hireable": None, "bio": None,
            "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
            "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z",
        }
    )  # fmt: skip


def _token(call: Call) -> Token:
    if call.token is None:
        raise Refused(401, "Requires authentication")
    return call.token


def repository(call: Call) -> Answer:
    return Answer(200, repository_bytes(call.shelf))


def repository_bytes(shelf: Shelf) -> bytes:
    counted = sum(it.listed and it.closed_at is None for it in shelf.issues.values())
    return msgspec.json.encode(shapes.repository(shelf.repo, open_issues=counted))


def my_repositories(call: Call) -> Answer:
    _token(call)
    if "type" in call.query and {"visibility", "affiliation"} & call.query.keys():
        message = "If you specify visibility or affiliation, you cannot specify type."
        raise Refused(422, message)
    return _page(call, [shelf for shelf in call.world.shelves.values() if visible(shelf, call.token)])


def repositories_of(call: Call) -> Answer:
    owner = call.params["owner"].lower()
    mine = [s for s in call.world.shelves.values() if s.repo.owner.lower() == owner and visible(s, call.token)]
    return _page(call, mine)


def _page(call: Call, shelves: list[Shelf]) -> Answer:
    query = call.query
    wanted = query.get("visibility", "all")
    after, before = since(call), since(call, "before")
    kept = [
        shelf
        for shelf in shelves
        if wanted in ("all", "private" if shelf.repo.private else "public")
        and (after is None or shelf.repo.updated_at >= after)
        and (before is None or shelf.repo.updated_at < before)
    ]
    by_name = sorted(kept, key=lambda shelf: shelf.repo.full_name.lower())
    sort = query.get("sort", "full_name")
    places = {shelf.repo.id: place for place, shelf in enumerate(by_name)}
    down = query.get("direction", "asc" if sort == "full_name" else "desc") == "desc"
    rows = ordered(kept, lambda shelf: (_key(shelf.repo, sort, places), shelf.repo.id), descending=down)
    return page(call, rows, repository_bytes)


def _key(repo: Repo, sort: str, places: dict[int, int]) -> int:
    times = {"created": repo.created_at, "updated": repo.updated_at, "pushed": repo.pushed_at}
    return times.get(sort, places[repo.id])


def budget(limit: int, used: int, reset: int) -> dict[str, Any]:
    return {"limit": limit, "used": used, "remaining": max(limit - used, 0), "reset": reset}


TOP_ROUTES = [
    route("GET", "/user", account),
    route("GET", "/user/repos", my_repositories),
    route("GET", "/(?:orgs|users)/{owner}/repos", repositories_of),
]
ROUTES = [route("GET", "", repository)]

"""GitHub played locally: authentication, budget, conditional requests, redirects, and the way to each route."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Mapping

import msgspec

from libs.providers.github.sandbox import changes, code, issues, repositories, shapes
from libs.providers.github.sandbox.call import JSON, Call, Handler, Moved, Refused, Route, not_found, ok
from libs.providers.github.sandbox.generate import build_world, seed
from libs.providers.github.sandbox.hooks import Hooks
from libs.providers.github.sandbox.oauth.played import APPLICATIONS, PREFIX, OAuth
from libs.providers.github.sandbox.records import Switches, Token
from libs.providers.github.sandbox.truth import truth
from libs.providers.github.sandbox.world import Shelf, World
from libs.sandbox.contract import Answer, Control, ControlRefused, Place, Request
from libs.sandbox.faults import Fault

REPO_PATH = re.compile(r"/repos/([^/]+/[^/]+)(/.*)?")
REPO_ID_PATH = re.compile(r"/repositories/(\d+)(/.*)?")
ACCEPTED_SCOPES = "repo"
PRIMARY = "API rate limit exceeded for user ID {}."
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


class NewToken(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    token: str | None = None
    login: str = shapes.GENERATOR
    scopes: list[str] = msgspec.field(default_factory=lambda: ["repo", "read:user", "read:org"])
    repositories: list[str] | None = None


class Budget:
    """One token's hour: requests counted since it began."""

    def __init__(self) -> None:
        self.used = 0
        self.reset = 0

    def turn(self, window: int) -> None:
        now = int(time.time())
        if now >= self.reset:
            self.used, self.reset = 0, now + window


class GithubStandIn:
    def __init__(self, place: Place) -> None:
        place.state.mkdir(parents=True, exist_ok=True)
        self.world = World(place.state)
        build_world(self.world, place.root)
        self.hooks = Hooks(self.world, place.deliveries)
        self.oauth = OAuth(self.world)
        self._changes = changes.Changes(self.world, self.hooks)
        self._budgets: dict[str, Budget] = {}
        self._routes = [*repositories.ROUTES, *issues.ROUTES, *code.ROUTES, *self.hooks.routes]

    # answering

    def answer(self, request: Request) -> Answer:
        if request.path.startswith(PREFIX):
            return self.oauth.answer(request)
        token, budget = None, None
        try:
            if request.path.startswith(APPLICATIONS):
                return self._dressed(self.oauth.administer(request), request, None, None)
            token = self._token(request)
            budget = self._budget(token)
            answer = self._spend(request, token, budget)
        except Moved as moved:
            answer = moved.answer(request.method)
        except Refused as refused:
            answer = refused.answer()
        return self._dressed(answer, request, token, budget)

    def refuse(self, fault: Fault, request: Request) -> Answer:
        token = self._known(request)
        budget = self._budget(token)
        if fault.kind == "unauthorized":
            return self._dressed(Refused(401, "Bad credentials").answer(), request, None, None)
        if fault.kind == "rate_limit":
            answer = Refused(403, PRIMARY.format(shapes.GENERATOR_ID)).answer()
            budget.reset = int(time.time()) + (fault.retry_after or self.world.switches.rate_window_seconds)
            return self._dressed(answer, request, token, budget, exhausted=True)
        answer = Refused(fault.status if fault.status in (403, 429) else 403, SECONDARY).answer()
        answer.headers["retry-after"] = str(fault.retry_after if fault.retry_after is not None else 60)
        return self._dressed(answer, request, token, budget)

    def _spend(self, request: Request, token: Token | None, budget: Budget) -> Answer:
        """Counts the request, except for those that GitHub gives free: /rate_limit and "not modified"."""
        if request.path == "/api/rate_limit" and request.method == "GET":
            return self._rate_limit(token, budget)
        if budget.used >= self._limit(token):
            raise Refused(403, PRIMARY.format(shapes.GENERATOR_ID))
        budget.used += 1
        answer = self._routed(request, token)
        if answer.status == 200 and request.method == "GET":
            answer = _conditional(answer, request, token)
        if answer.status == 304 and token is not None:
            budget.used -= 1
        return answer

    def _routed(self, request: Request, token: Token | None) -> Answer:
        path = request.path.removeprefix("/api")
        shelf, suffix = self._shelf(request, path, token)
        if shelf is None:
            return _run(repositories.TOP_ROUTES, Call(self.world, request, token), path)
        return _run(self._routes, Call(self.world, request, token, found=shelf), suffix)

    def _shelf(self, request: Request, path: str, token: Token | None) -> tuple[Shelf | None, str]:
        by_id, by_name = REPO_ID_PATH.fullmatch(path), REPO_PATH.fullmatch(path)
        match = by_id or by_name
        if match is None:
            return None, path
        suffix = match[2] or ""
        named = self.world.named(match[1]) if by_name else None
        shelf = named[0] if named else self.world.shelves.get(int(match[1])) if by_id else None
        if shelf is None or not repositories.visible(shelf, token):
            raise not_found()
        if named and named[1]:
            query = f"?{request.query}" if request.query else ""
            raise Moved(f"{shapes.API}/repositories/{shelf.repo.id}{suffix}{query}")
        return shelf, suffix

    # who asks, and how much is left

    def _token(self, request: Request) -> Token | None:
        if "authorization" not in request.headers:
            return None
        token = self._known(request)
        if token is None or token.state != "active":
            raise Refused(401, "Bad credentials")
        return token

    def _known(self, request: Request) -> Token | None:
        _, _, value = request.headers.get("authorization", "").partition(" ")
        return self.world.tokens.get(value.strip())

    def _budget(self, token: Token | None) -> Budget:
        budget = self._budgets.setdefault(token.token if token else "", Budget())
        budget.turn(self.world.switches.rate_window_seconds)
        return budget

    def _limit(self, token: Token | None) -> int:
        return self.world.switches.rate_limit if token else self.world.switches.anonymous_rate_limit

    def _rate_limit(self, token: Token | None, budget: Budget) -> Answer:
        core = repositories.budget(self._limit(token), budget.used, budget.reset)
        return ok({"resources": {"core": core}, "rate": core})

    def _dressed(
        self, answer: Answer, request: Request, token: Token | None, budget: Budget | None, *, exhausted: bool = False
    ) -> Answer:
        """The headers that every answer carries, and the real origin in place of the prepared one."""
        origin = request.origin
        if answer.headers.get("content-type", JSON) == JSON:
            answer.body = answer.body.replace(shapes.ORIGIN.encode(), origin.encode())
        headers = {name: value.replace(shapes.ORIGIN, origin) for name, value in answer.headers.items()}
        headers["x-github-media-type"] = "github.v3; format=json"
        headers["x-github-request-id"] = uuid.uuid4().hex[:20].upper()
        headers["cache-control"] = "private, max-age=60, s-maxage=60"
        headers["vary"] = "Accept, Authorization, Cookie, X-GitHub-OTP"
        if token is not None:
            headers["x-oauth-scopes"] = ", ".join(token.scopes)
            headers["x-accepted-oauth-scopes"] = ACCEPTED_SCOPES
        if budget is not None:
            limit = self._limit(token)
            used = limit if exhausted else min(budget.used, limit)
            left = {"limit": limit, "remaining": limit - used, "used": used, "reset": budget.reset}
            headers |= {f"x-ratelimit-{name}": str(value) for name, value in left.items()}
            headers["x-ratelimit-resource"] = "core"
        answer.headers = headers
        return answer

    # control

    def controls(self) -> Mapping[str, Callable[[Control], object]]:
        return {
            "POST change": lambda call: self._changes.make(call.body),
            "POST seed": lambda call: seed(self.world, call.body),
            "GET truth": lambda call: truth(self.world, call.query.get("repository")),
            "GET settings": lambda _: self.world.switches,
            "POST settings": self._turn,
            "POST tokens": self._new_token,
            "POST expire": self._expire,
            **self.oauth.controls(),
        }

    def _turn(self, call: Control) -> Switches:
        now = msgspec.to_builtins(self.world.switches)
        self.world.turn(msgspec.convert({**now, **call.body}, Switches))
        return self.world.switches

    def _new_token(self, call: Control) -> object:
        wanted = msgspec.convert(call.body, NewToken)
        token = Token(
            id=self.world.next_id(), token=wanted.token or f"ghp_{uuid.uuid4().hex}", login=wanted.login,
            scopes=wanted.scopes, repositories=self._ids(wanted.repositories),
        )  # fmt: skip
        known = self.world.tokens.get(token.token)
        if known is not None:
            token.id = known.id
        self.world.keep(token)
        return {"token": token.token, "login": token.login, "scopes": token.scopes}

    def _ids(self, names: list[str] | None) -> list[int] | None:
        return None if names is None else [changes.shelf_named(self.world, name).repo.id for name in names]

    def _expire(self, call: Control) -> object:
        """Kills one token, or all of them; each answers 401 until it is made again."""
        one = call.body.get("token")
        if one is not None and one not in self.world.tokens:
            raise ControlRefused("no such token", status=404)
        dead = [self.world.tokens[one]] if one else list(self.world.tokens.values())
        for token in dead:
            token.state = "expired"
        self.world.keep(*dead)
        return {"expired": len(dead)}

    def close(self) -> None:
        self.world.close()


def _run(routes: list[Route], call: Call, path: str) -> Answer:
    for candidate in routes:
        match = candidate.expression.fullmatch(path) if candidate.method == call.request.method else None
        if match:
            call.params = {**match.groupdict(), "suffix": path}
            handler: Handler = candidate.handler
            return handler(call)
    raise not_found()


def _conditional(answer: Answer, request: Request, token: Token | None) -> Answer:
    """A weak ETag over the prepared bytes; who asks and in which media type is part of it, as `Vary` says."""
    who = f"{token.token if token else ''}\n{request.headers.get('accept', '')}\n{answer.headers.get('link', '')}\n"
    digest = hashlib.blake2b(who.encode(), digest_size=16)
    digest.update(answer.body)
    tag = f'W/"{digest.hexdigest()}"'
    known = {part.strip() for part in request.headers.get("if-none-match", "").split(",")}
    answer.headers["etag"] = tag
    if tag in known or tag.removeprefix("W/") in known:
        return Answer(304, headers=answer.headers)
    return answer

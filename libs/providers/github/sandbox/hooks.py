"""Repository hooks: the routes that manage them, and the signed deliveries that changes cause."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from typing import Any
from urllib.parse import urlencode

import msgspec

from libs.providers.github.sandbox import attempts, shapes
from libs.providers.github.sandbox.call import Call, Refused, invalid, not_found, ok, route
from libs.providers.github.sandbox.listing import ordered, page
from libs.providers.github.sandbox.records import Hook
from libs.providers.github.sandbox.world import Shelf, World
from libs.sandbox.contract import Answer
from libs.sandbox.deliveries import Deliveries, Delivery, loopback_of

USER_AGENT = "GitHub-Hookshot/sandbox"
ZEN = "Keep it logically awesome."
MOST_HOOKS_PER_EVENT = 20
MAY_DELETE = {"repo", "public_repo", "admin:repo_hook"}
MAY_WRITE = MAY_DELETE | {"write:repo_hook"}
MAY_READ = MAY_WRITE | {"read:repo_hook"}


class HookConfig(msgspec.Struct):
    url: str | None = None
    content_type: str | None = None
    secret: str | None = None
    insecure_ssl: str | int | None = None


class HookBody(msgspec.Struct):
    config: HookConfig | None = None
    name: str = "web"
    active: bool | None = None
    events: list[str] | None = None
    add_events: list[str] = []
    remove_events: list[str] = []


class Hooks:
    """Binds the hook routes to the sender; the rest of the played API never sends anything."""

    def __init__(self, world: World, deliveries: Deliveries) -> None:
        self.world = world
        self.deliveries = deliveries
        self.routes = [
            route("GET", "/hooks", self.listed),
            route("POST", "/hooks", self.create),
            route("GET", "/hooks/{id}", self.one),
            route("PATCH", "/hooks/{id}", self.edit),
            route("DELETE", "/hooks/{id}", self.delete),
            route("POST", "/hooks/{id}/pings", self.ping),
            route("POST", "/hooks/{id}/tests", self.test),
            route("GET", "/hooks/{id}/deliveries", self.delivered),
            route("GET", "/hooks/{id}/deliveries/(?P<delivery>\\d+)", self.delivery),
            route("POST", "/hooks/{id}/deliveries/(?P<delivery>\\d+)/attempts", self.attempt),
        ]

    # sending

    def emit(self, shelf: Shelf, event: str, payload: dict[str, Any]) -> list[int]:
        """One delivery to every active hook that wants the event; answers their ids."""
        wanting = [h for h in shelf.hooks.values() if h.active and (event in h.events or "*" in h.events)]
        return [self.send(hook, event, payload).id for hook in wanting]

    def send(self, hook: Hook, event: str, payload: dict[str, Any]) -> Delivery:
        body = msgspec.json.encode(payload).replace(shapes.ORIGIN.encode(), hook.origin.encode())
        if hook.content_type == "form":
            body = urlencode({"payload": body.decode()}).encode()
        guid = str(uuid.uuid4())
        return self.deliveries.send(
            guid=guid, event=event, url=hook.url, headers=_headers(hook, event, guid, body), body=body,
            action=payload.get("action"), hook_id=hook.id, repository_id=hook.repo,
            muted=self._muted(),
        )  # fmt: skip

    def _ping(self, shelf: Shelf, hook: Hook) -> None:
        shape = self._shape(shelf, hook)
        self.send(hook, "ping", {"zen": ZEN, "hook_id": hook.id, "hook": shape, **about(shelf)})

    # routes

    def listed(self, call: Call) -> Answer:
        _may(call, MAY_READ)
        rows = ordered(call.shelf.hooks.values(), lambda hook: (hook.id, 0), descending=False)
        return page(call, rows, lambda hook: msgspec.json.encode(self._shape(call.shelf, hook)))

    def create(self, call: Call) -> Answer:
        _may(call, MAY_WRITE)
        body, shelf, now = _body(call), call.shelf, int(time.time())
        config = body.config or HookConfig()
        hook = Hook(
            id=self.world.next_id(), repo=shelf.repo.id, url=_url(config.url), origin=call.request.origin,
            created_at=now, updated_at=now, secret=config.secret or None, content_type=config.content_type or "form",
            insecure_ssl=str(config.insecure_ssl or "0"), events=body.events or ["push"],
            active=body.active is not False,
        )  # fmt: skip
        _check(shelf, hook)
        self.world.keep(hook)
        self._ping(shelf, hook)
        return ok(self._shape(shelf, hook), status=201)

    def one(self, call: Call) -> Answer:
        _may(call, MAY_READ)
        return ok(self._shape(call.shelf, _hook(call)))

    def edit(self, call: Call) -> Answer:
        """A config that is given replaces the old one whole: a secret left out is a secret removed."""
        _may(call, MAY_WRITE)
        hook, body = _hook(call), _body(call)
        changes: dict[str, Any] = {"updated_at": int(time.time())}
        if body.config is not None:
            config = body.config
            changes |= {"secret": config.secret or None, "insecure_ssl": str(config.insecure_ssl or "0")}
            changes |= {"url": _url(config.url or hook.url), "content_type": config.content_type or "form"}
        events = set(body.events if body.events is not None else hook.events)
        changes["events"] = sorted((events | set(body.add_events)) - set(body.remove_events))
        if body.active is not None:
            changes["active"] = body.active
        edited = msgspec.structs.replace(hook, **changes)
        _check(call.shelf, edited)
        self.world.keep(edited)
        return ok(self._shape(call.shelf, edited))

    def delete(self, call: Call) -> Answer:
        _may(call, MAY_DELETE)
        self.world.drop(_hook(call))
        return Answer(204)

    def ping(self, call: Call) -> Answer:
        _may(call, MAY_READ)
        self._ping(call.shelf, _hook(call))
        return Answer(204)

    def test(self, call: Call) -> Answer:
        """GitHub sends the last push again, but only to a hook that asked for pushes."""
        _may(call, MAY_READ)
        hook = _hook(call)
        pushes = [d for d in self.deliveries.listed(hook_id=hook.id) if d.event == "push"]
        if pushes:
            self.deliveries.again(pushes[-1].id)
        return Answer(204)

    def delivered(self, call: Call) -> Answer:
        _may(call, MAY_READ)
        return attempts.page(call, self._kept(call))

    def delivery(self, call: Call) -> Answer:
        _may(call, MAY_READ)
        found = self._delivery(call)
        answered = {"headers": {}, "payload": found.error or ""}
        return ok({**attempts.shape(found), "url": found.url, "request": _sent(found), "response": answered})

    def attempt(self, call: Call) -> Answer:
        _may(call, MAY_WRITE)
        self.deliveries.again(self._delivery(call).id, muted=self._muted())
        return ok({}, status=202)

    def _muted(self) -> str | None:
        return None if self.world.switches.deliver_hooks else "deliverHooks is switched off"

    def _kept(self, call: Call) -> list[Delivery]:
        now = time.time() + self.world.switches.clock_ahead
        return attempts.kept(self.deliveries.listed(hook_id=_hook(call).id), now)

    def _delivery(self, call: Call) -> Delivery:
        wanted = int(call.params["delivery"])
        for found in self._kept(call):
            if found.id == wanted:
                return found
        raise not_found()

    def _shape(self, shelf: Shelf, hook: Hook) -> dict[str, Any]:
        sent = [d for d in self.deliveries.listed(hook_id=hook.id) if d.state != "pending"]
        last: dict[str, Any] = {"code": None, "status": "unused", "message": None}
        if sent:
            fine = sent[-1].state == "delivered"
            last = {"code": sent[-1].status, "status": "active" if fine else "unexpected_response", "message": None}
        return shapes.hook(shelf.repo, hook, last=last)


def about(shelf: Shelf) -> dict[str, Any]:
    """What ends every payload."""
    return {"repository": shapes.repository(shelf.repo), "sender": shapes.user(shapes.GENERATOR)}


def signature(secret: str, body: bytes, method: str = "sha256") -> str:
    return f"{method}=" + hmac.new(secret.encode(), body, method).hexdigest()


def _headers(hook: Hook, event: str, guid: str, body: bytes) -> dict[str, str]:
    form = hook.content_type == "form"
    headers = {
        "Accept": "*/*", "Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
        "User-Agent": USER_AGENT, "X-GitHub-Delivery": guid, "X-GitHub-Event": event, "X-GitHub-Hook-ID": str(hook.id),
        "X-GitHub-Hook-Installation-Target-ID": str(hook.repo),
        "X-GitHub-Hook-Installation-Target-Type": "repository",
    }  # fmt: skip
    if hook.secret:
        headers["X-Hub-Signature"] = signature(hook.secret, body, hashlib.sha1(usedforsecurity=False).name)
        headers["X-Hub-Signature-256"] = signature(hook.secret, body)
    return headers


def _may(call: Call, scopes: set[str]) -> None:
    """GitHub hides what a token may not touch."""
    if call.token is None or not scopes & set(call.token.scopes):
        raise not_found()


def _hook(call: Call) -> Hook:
    found = call.shelf.hooks.get(int(call.params["id"]))
    if found is None:
        raise not_found()
    return found


def _body(call: Call) -> HookBody:
    try:
        return msgspec.convert(call.body(), HookBody)
    except msgspec.ValidationError as wrong:
        raise Refused(422, "Invalid request.\n\n" + str(wrong)) from wrong


def _url(url: str | None) -> str:
    if not url:
        raise invalid("Hook", "url cannot be blank", code="missing_field", field="url")
    if loopback_of(url) is None:
        raise invalid("Hook", "url is not http on loopback, and the sandbox sends nowhere else")
    return url


def _check(shelf: Shelf, hook: Hook) -> None:
    others = [other for other in shelf.hooks.values() if other.id != hook.id]
    if any(other.url == hook.url and other.content_type == hook.content_type for other in others):
        raise invalid("Hook", "Hook already exists on this repository")
    for event in hook.events:
        if sum(event in other.events for other in others) >= MOST_HOOKS_PER_EVENT:
            raise invalid("Hook", f'The "{event}" event cannot have more than {MOST_HOOKS_PER_EVENT} hooks')


def _sent(it: Delivery) -> dict[str, Any]:
    form = it.headers.get("Content-Type") != "application/json"
    return {"headers": it.headers, "payload": it.body if form else msgspec.Raw(it.body.encode())}

"""Secrets pushed through every path of a running installation stand nowhere in clear, and planted ones are found."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from libs.common.testing.eventually import eventually
from libs.local.client import TIMEOUT
from libs.local.demo.consenting import ORIGIN, OWN_PAGE
from libs.local.demo.popup import posted
from libs.local.demo.visitor import Visitor
from libs.local.endpoints import read_credentials
from libs.local.state import State
from tests.e2e.conftest import Line
from tests.support.canaries import Installation, Written, hits

SUBJECT = "canary"
SMALL = {"provider": "github", "features": ["issues"], "resources": ["sandbox/canary"]}


class Paths:
    """Drives the installation with secrets of its own and keeps every answer that it gave."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.installation = Installation(line.root, line.endpoints)
        self.written: list[Written] = []
        self.secrets: dict[str, str] = {}
        self.client = httpx.Client(timeout=TIMEOUT, event_hooks={"response": [self._heard]})

    def _heard(self, answer: httpx.Response) -> None:
        answer.read()
        if str(answer.url).startswith(self.line.endpoints.gateway):
            head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
            self.written.append(
                (f"answer to {answer.request.method} {answer.url.path}", f"{head}\n{answer.text}".encode())
            )

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.line.key}"}
        return self.client.request(method, self.line.endpoints.gateway + path, json=body, headers=headers)

    def workspace(self) -> str:
        name = f"canary-{self.line.word()}"
        assert self.ask("PUT", f"/v1/workspaces/{name}").status_code in (200, 201)
        return f"/v1/workspaces/{name}"

    def begin(self, place: str, callback: str) -> dict[str, Any]:
        body = {**SMALL, "redirectUrl": ORIGIN, "subject": SUBJECT, "callback": callback}
        return dict(self.ask("POST", f"{place}/connect", body).json())

    def returned(self, place: str) -> dict[str, str]:
        """Code and state as the application's own page gets them."""
        back = Visitor(self.client).consent(self.begin(place, "application")["authorizationUrl"], back=OWN_PAGE)
        query = dict(parse_qsl(urlsplit(back.headers["location"]).query))
        return {"code": query["code"], "state": query["state"], "subject": SUBJECT}

    def keep_what_the_provider_was_shown(self) -> None:
        for turned in self.line.control.ask("GET", "token-requests")["items"]:
            for name, secret in turned.get("secrets", {}).items():
                self.secrets[f"{name} {turned['seq']}"] = secret

    # the paths

    def by_token(self) -> str:
        """Connected with hooks; refused tokens, and one in a place where no token belongs."""
        for name in ("token", "refused token", "misplaced token"):
            self.secrets[name] = f"ghp_{token_hex(18)}"
        self.line.control.ask("POST", "tokens", {"token": self.secrets["token"]})
        place = self.workspace()
        body = {**SMALL, "monitorChanges": True}
        refused = self.ask("POST", f"{place}/integrations", {**body, "token": self.secrets["refused token"]})
        misplaced = {"token": self.secrets["token"], "metadata": {"copy": self.secrets["misplaced token"]}}
        self.ask("POST", f"{place}/integrations", {**body, **misplaced, "config": {"since": self.secrets["token"]}})
        made = self.ask("POST", f"{place}/integrations", {**body, "token": self.secrets["token"]})
        assert (refused.status_code, made.status_code) == (422, 201)
        return str(made.json()["id"])

    async def by_popup(self) -> None:
        """Redis is looked at where it holds most: one code parked, one consent still open."""
        place = self.workspace()
        told = posted(Visitor(self.client).consent(self.begin(place, "sluice")["authorizationUrl"]).text)
        Visitor(self.client).consent(self.begin(place, "application")["authorizationUrl"], back=OWN_PAGE)
        self.written += [one async for one in self.installation.redis()]
        done = {name: told.message[name] for name in ("attemptId", "handle")}
        assert self.ask("POST", "/v1/oauth/complete", {**done, "subject": SUBJECT}).status_code == 200

    def by_own_page(self) -> None:
        place = self.workspace()
        returned = self.returned(place)
        statuses = [self.ask("POST", "/v1/oauth/complete", returned).status_code for _ in range(2)]
        assert statuses == [200, 409]

    def with_provider_errors(self) -> None:
        """Cut, broken, refused and unusable answers to the token request, and a grant that is refused at once."""
        for fault in (
            {"match": "access_token", "kind": "truncate"}, {"match": "access_token", "kind": "status"},
            {"match": "access_token", "kind": "reset"}, {"match": "/api/user$", "kind": "unauthorized"},
            {"match": "/api/user$", "kind": "status", "status": 500, "times": 0},
        ):  # fmt: skip
            returned = self.returned(self.workspace())
            self.line.control.ask("POST", "faults", fault)
            assert self.ask("POST", "/v1/oauth/complete", returned).status_code in (409, 502, 503), fault
            self.line.control.ask("DELETE", "faults")
        spoilt = self.returned(self.workspace())
        self.line.control.ask("POST", "expire-codes")
        assert self.ask("POST", "/v1/oauth/complete", spoilt).status_code == 409

    def revoked(self, integration: str) -> None:
        """A token that dies while it is in use is reported by whoever used it."""
        self.line.control.ask("POST", "expire", {"token": self.secrets["token"]})
        self.ask("POST", f"/v1/integrations/{integration}/check")
        self.ask("POST", f"/v1/integrations/{integration}/sync")


@pytest.fixture
def paths(line: Line) -> Iterator[Paths]:
    line.control.ask("POST", "settings", {"keepSecrets": True})
    paths = Paths(line)
    yield paths
    paths.client.close()
    line.control.ask("POST", "settings", {"keepSecrets": False})


async def test_no_secret_of_any_path_is_written_anywhere_in_clear(line: Line, paths: Paths) -> None:
    word = line.word()
    line.control.change("create_repository", fullName="sandbox/canary", files={"a.md": "# Canary\n"})
    integration = paths.by_token()
    await paths.by_popup()
    paths.by_own_page()
    paths.with_provider_errors()

    def hooked() -> bool:
        return bool(paths.ask("GET", f"/v1/integrations/{integration}").json()["webhook"]["state"] == "active")

    await eventually(hooked, timeout=20)
    line.control.change("open_issue", repository="sandbox/canary", title=f"Canary {word}", body="Signed.")

    def delivered() -> bool:
        items = paths.ask("GET", f"/v1/integrations/{integration}/deliveries").json()["items"]
        return any(one["event"] == "issues" for one in items)

    await eventually(delivered, timeout=20)
    paths.revoked(integration)

    def lost() -> bool:
        return bool(paths.ask("GET", f"/v1/integrations/{integration}").json()["status"] == "error")

    await eventually(lost, timeout=20)
    assert paths.ask("DELETE", f"/v1/integrations/{integration}").status_code < 300
    paths.keep_what_the_provider_was_shown()
    kinds = {name.split(" ")[0] for name in paths.secrets}
    assert {"token", "client_secret", "code", "code_verifier", "access_token"} <= kinds
    written = [*await paths.installation.everything(), *paths.written]
    places = {place.split(" ")[0] for place, _ in written}
    assert places == {"log", "metrics", "table", "topic", "redis", "answer"}
    print(f"figure canaries value={len(paths.secrets)} places={len(written)}")
    assert hits(paths.secrets, written) == []


async def test_planted_secret_is_found_in_every_place_and_in_every_disguise(line: Line) -> None:
    canary = f"gho_{token_hex(15)}?/+{token_hex(3)}"
    installation = Installation(line.root, line.endpoints)
    log = State.at(line.root).logs / "planted.log"
    planted = ["log planted.log", "redis planted", "table sync.planted", "topic planted"]

    async def found() -> None:
        places = sorted(hits({"canary": canary}, await installation.everything()))
        assert places == [f"canary in {place}" for place in planted]

    redis = Redis.from_url(read_credentials(State.at(line.root)).redis)
    producer = AIOKafkaProducer(bootstrap_servers=line.endpoints.kafka, enable_idempotence=False)
    await producer.start()
    await line.sql("CREATE TABLE sync.planted (bytes bytea)")
    try:
        await line.sql("INSERT INTO sync.planted VALUES ($1)", f"a {canary}".encode())
        await redis.hset("planted", "field", b64encode(f"12{canary}34".encode()))
        await producer.send_and_wait("planted", urlsafe_b64encode(f"1{canary}".encode()))
        log.write_text(str(httpx.QueryParams({"token": canary})))
        await eventually(found, timeout=30)
    finally:
        await producer.stop()
        await redis.delete("planted")
        await redis.aclose()
        await line.sql("DROP TABLE sync.planted")
        log.unlink(missing_ok=True)

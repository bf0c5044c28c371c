"""The HTTP surface of webhooks: providers post here without a bearer, people operate their endpoints with one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from libs.common.database.transaction import Row
from libs.common.errors import NotFound, PayloadTooLarge
from libs.common.http.explained import Steps
from libs.common.http.wire import Page, Wire, decode_cursor, following
from libs.common.provider.webhooks import RawWebhook
from libs.common.security.callers import Principal
from libs.common.security.secrets import Secret
from libs.providers import registry
from services.webhooks.deps import Deps
from services.webhooks.endpoints import Endpoints
from services.webhooks.inbox import Inbox
from services.webhooks.use_cases import operate, receive
from services.webhooks.use_cases.explain import About, explain_object

LARGEST_BODY = 32_000_000  # no provider's own cap is larger; each manifest says its own
GivenDeps = NamedDependency[Deps]
GivenPrincipal = NamedDependency[Principal]
GivenEndpoints = NamedDependency[Endpoints]
GivenInbox = NamedDependency[Inbox]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


class Receipt(Wire, omit_defaults=True):
    """`status`: handled, ignored, unknown or duplicate."""

    status: str
    delivery_id: str | None = None


class EndpointView(Wire):
    """`secret` is shown once; `registration`: api = we make the hook, manual = follow `steps`, app = one URL an app."""

    id: str
    provider: str
    url: str
    signature_header: str
    delivery_header: str
    event_header: str
    registration: str
    steps: list[str]
    secret: str | None
    previous_valid_until: datetime | None
    created_at: datetime


class SecretGiven(Wire):
    secret: str


class DeliveryView(Wire):
    id: str
    delivery_key: str
    event: str
    outcome: str
    reason: str
    received_at: datetime
    size: int
    body_hash: str
    trace_id: str | None
    replayed: int
    replayed_at: datetime | None


class Replayed(Wire):
    delivery_id: str
    replayed: int


class SubscriptionView(Wire):
    """`assertedAt`: when the hook was last seen to stand; `lastDeliveryAt` is of the integration, whose hooks share
    one endpoint. `lookedAt`: up to then deliveries that failed at the provider are known, `missed` are those that did
    not arrive since; `lookCode` says why they cannot be looked for."""

    id: str
    resource_id: str
    external_id: str
    name: str
    wanted: bool
    state: str
    hook_id: str | None
    expires_at: datetime | None
    code: str
    detail: str
    updated_at: datetime
    asserted_at: datetime | None
    looked_at: datetime | None
    look_code: str
    look_detail: str
    missed: int
    last_delivery_at: datetime | None


@post(
    "/v1/hooks/{provider:str}/{endpoint_id:str}",
    opt={"anonymous": True},
    request_max_body_size=LARGEST_BODY,
    status_code=202,
    tags=["hooks"],
    security=[],
)
async def take_delivery(
    request: Request[Any, Any, Any],
    provider: FromPath[str],
    endpoint_id: FromPath[str],
    deps: GivenDeps,
    endpoints: GivenEndpoints,
    inbox: GivenInbox,
) -> Response[Receipt]:
    """A provider's delivery, answered after it is stored: 202, or 200 for one that was stored before."""
    door = await receive.find_door(endpoints=endpoints, provider=provider, endpoint_id=endpoint_id)
    body = await _raw_body(request, door.scheme.max_body_bytes)
    hook = RawWebhook(headers={name.lower(): value for name, value in request.headers.items()}, body=body)
    receipt = await receive.receive(door=door, endpoints=endpoints, inbox=inbox, clock=deps.clock, hook=hook)
    status = 200 if receipt.status == "duplicate" else 202
    return Response(Receipt(status=receipt.status, delivery_id=receipt.delivery_id), status_code=status)


@post("/v1/hooks/{provider:str}", opt={"anonymous": True}, status_code=202, tags=["hooks"], security=[])
async def take_app_delivery(provider: FromPath[str]) -> None:
    """One URL for a whole app, where the provider has such a thing."""
    manifest = registry.manifest(provider)
    raise NotFound(f"{manifest.id} posts to an endpoint of each integration, not to one URL for all")


@get("/v1/integrations/{integration_id:str}/webhook-endpoint", tags=["webhooks"])
async def show_endpoint(integration_id: FromPath[str], deps: GivenDeps, principal: GivenPrincipal) -> EndpointView:
    """URL, scheme and set-up steps; the secret only the first time after it was made."""
    return _endpoint(await operate.show_endpoint(deps=deps, principal=principal, integration_id=integration_id))


@post("/v1/integrations/{integration_id:str}/webhook-endpoint/rotate", status_code=200, tags=["webhooks"])
async def rotate_secret(integration_id: FromPath[str], deps: GivenDeps, principal: GivenPrincipal) -> EndpointView:
    """A new secret, shown in this answer only; the old one stays valid for an hour."""
    return _endpoint(await operate.rotate_secret(deps=deps, principal=principal, integration_id=integration_id))


@put("/v1/integrations/{integration_id:str}/webhook-endpoint/secret", tags=["webhooks"])
async def give_secret(
    integration_id: FromPath[str], data: JSONBody[SecretGiven], deps: GivenDeps, principal: GivenPrincipal
) -> EndpointView:
    """For a provider that makes the secret itself; the old one stays valid for an hour."""
    given = Secret(data.secret)
    return _endpoint(
        await operate.give_secret(deps=deps, principal=principal, integration_id=integration_id, secret=given)
    )


@get("/v1/integrations/{integration_id:str}/deliveries", tags=["webhooks"])
async def list_deliveries(
    integration_id: FromPath[str],
    deps: GivenDeps,
    principal: GivenPrincipal,
    cursor: FromQuery[str | None] = None,
    limit: Limit = 50,
) -> Page[DeliveryView]:
    """What arrived, newest first, without the bodies."""
    before = None if cursor is None else decode_cursor(cursor, str)
    rows = await operate.list_deliveries(
        deps=deps, principal=principal, integration_id=integration_id, before=before, limit=limit + 1
    )
    return Page(items=[_delivery(row) for row in rows[:limit]], next_cursor=following(rows, limit, "id"))


@post("/v1/deliveries/{delivery_id:str}/replay", status_code=202, tags=["webhooks"])
async def replay_delivery(delivery_id: FromPath[str], deps: GivenDeps, principal: GivenPrincipal) -> Replayed:
    """Says "look again" once more for a stored delivery."""
    replayed = await operate.replay_delivery(deps=deps, principal=principal, delivery_id=delivery_id)
    return Replayed(delivery_id=delivery_id, replayed=replayed)


@get("/v1/integrations/{integration_id:str}/subscriptions", tags=["webhooks"])
async def list_subscriptions(
    integration_id: FromPath[str],
    deps: GivenDeps,
    principal: GivenPrincipal,
    cursor: FromQuery[str | None] = None,
    limit: Limit = 50,
) -> Page[SubscriptionView]:
    """The hooks at the provider: what is wanted of each resource, and what stands."""
    after = None if cursor is None else decode_cursor(cursor, str)
    rows = await operate.list_subscriptions(
        deps=deps, principal=principal, integration_id=integration_id, after=after, limit=limit + 1
    )
    return Page(items=[SubscriptionView(**row) for row in rows[:limit]], next_cursor=following(rows, limit, "id"))


@get("/v1/integrations/{integration_id:str}/explain", tags=["webhooks"])
async def explain_hints(
    integration_id: FromPath[str],
    resource: FromQuery[str],
    stream: FromQuery[str],
    key: FromQuery[str],
    deps: GivenDeps,
    principal: GivenPrincipal,
) -> Steps:
    """Whether a hook watches a resource, and which deliveries named this object of it: the part of webhooks in why
    something is here or not. `resource` is the provider's id of it; `stream` and `key` are as `GET /v1/explain` says.
    """
    about = About(resource=resource, stream=stream, key=key)
    steps = await explain_object(deps=deps, principal=principal, integration_id=integration_id, about=about)
    return Steps(steps=steps)


HANDLERS = (
    take_delivery,
    take_app_delivery,
    show_endpoint,
    rotate_secret,
    give_secret,
    list_deliveries,
    replay_delivery,
    list_subscriptions,
    explain_hints,
)


async def _raw_body(request: Request[Any, Any, Any], most: int) -> bytes:
    """The bytes as they came, read no further than the cap."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise PayloadTooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise PayloadTooLarge
    return bytes(body)


def _endpoint(shown: operate.EndpointShown) -> EndpointView:
    row, scheme = shown.row, shown.scheme
    return EndpointView(
        id=row["id"],
        provider=row["provider"],
        url=shown.url,
        signature_header=scheme.signature_header,
        delivery_header=scheme.delivery_header,
        event_header=scheme.event_header,
        registration=scheme.registration,
        steps=list(scheme.steps),
        secret=None if shown.secret is None else shown.secret.reveal(),
        previous_valid_until=row["previous_until"],
        created_at=row["created_at"],
    )


def _delivery(row: Row) -> DeliveryView:
    fields = dict(row)
    traceparent = fields.pop("traceparent")
    return DeliveryView(**fields, trace_id=traceparent.split("-")[1] if traceparent else None)

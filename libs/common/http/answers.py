"""Every error of every route as one kind of answer: problem+json with a code, and nothing of our insides."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from libs.common.errors import (
    CallerMistake,
    Forbidden,
    InvalidInput,
    MalformedPayload,
    NotFound,
    PayloadTooLarge,
    SluiceError,
    Unauthenticated,
)
from libs.common.http.problems import MEDIA_TYPE, problem_of, retry_after
from libs.common.http.requests import invalid
from libs.common.telemetry.logging import get_logger

log = get_logger(__name__)

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class MethodNotAllowed(CallerMistake):
    code = "method_not_allowed"
    http_status = 405
    title = "This route does not know the method"


class UnsupportedMediaType(CallerMistake):
    code = "unsupported_media_type"
    http_status = 415
    title = "This route does not read the media type"


BY_STATUS: dict[int, type[SluiceError]] = {
    400: MalformedPayload,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
    422: InvalidInput,
}


def on_sluice_error(request: Request[Any, Any, Any], error: SluiceError) -> Response[bytes]:
    if error.http_status >= 500:
        log.warning("request_failed", code=error.code, error_detail=error.detail, status=error.http_status)
    return answer(request, error)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own refusals. Its texts are not passed on: some quote what the caller sent."""
    if isinstance(error, ValidationException):
        return answer(request, _validation(request, error))
    kind = BY_STATUS.get(error.status_code)
    if kind is None:
        return on_bug(request, error)
    response = answer(request, kind())
    if error.status_code == 405:
        response.headers["allow"] = ", ".join(_allowed(request))
    return response


def on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("request_crashed", exc_info=error)
    return answer(request, SluiceError())


def answer(request: Request[Any, Any, Any], error: SluiceError) -> Response[bytes]:
    problem = problem_of(error, request.scope.get("state", {}).get("request_id"))
    headers = {"retry-after": wait} if (wait := retry_after(error)) else {}
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(msgspec.json.encode(problem), status_code=error.http_status, media_type=MEDIA_TYPE, headers=headers)


def _allowed(request: Request[Any, Any, Any]) -> list[str]:
    """RFC 9110 asks for the methods that would have worked; the router only knows them one by one."""
    return [method for method in METHODS if _is_routed(request, method)]


def _is_routed(request: Request[Any, Any, Any], method: Any) -> bool:
    try:
        request.app.asgi_router.handle_routing(path=request.scope["path"].rstrip("/") or "/", method=method)
    except HTTPException:
        return False
    return True


def _validation(request: Request[Any, Any, Any], error: ValidationException) -> SluiceError:
    faults = error.extra if isinstance(error.extra, list) else []
    if not faults:
        return _missing(error)
    fault = faults[0]
    if fault.get("key") == "data":
        return MalformedPayload("the route needs a JSON body")
    found = invalid(str(fault.get("message", "")))
    argument, *rest = str(fault.get("key", "")).split(".")
    return InvalidInput(found.detail, pointer="/" + "/".join([_told_as(request, argument), *rest]))


def _missing(error: ValidationException) -> SluiceError:
    """Litestar looks parameters up by the name that callers know, and keeps the look-up that failed."""
    if isinstance(error.__cause__, KeyError):
        return InvalidInput("this parameter is required", pointer=f"/{error.__cause__.args[0]}")
    return MalformedPayload("the request lacks something that the route needs")


def _told_as(request: Request[Any, Any, Any], argument: str) -> str:
    """The parameter as callers know it: the handler's argument may have another name."""
    field = request.route_handler.parsed_fn_signature.parameters.get(argument)
    return getattr(field.kwarg_definition, "name", None) or argument if field else argument

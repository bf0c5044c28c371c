"""Template's manners over HTTP: what each status asks the caller to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from libs.common.errors import (
    AuthExpired,
    LostSight,
    ProviderContractBroken,
    ProviderUnavailable,
    RateLimited,
    ResourceGone,
)
from libs.common.http.retry_after import wait_asked
from libs.common.provider.client import HttpAnswer, ProviderHttp

T = TypeVar("T")
HEADERS = {"accept": "application/json", "user-agent": "sluice"}
WAIT = timedelta(seconds=60)


async def get(
    http: ProviderHttp, url: str, *, params: Mapping[str, str] | None = None, conditional: str = ""
) -> HttpAnswer:
    """A 200 or, when conditional, a 304. Every other answer is one of the errors of `check_status`."""
    answer = await http.request("GET", url, params=params, headers=HEADERS, conditional=conditional)
    if answer.status == 429:
        http.note_limit(_until(answer))
    check_status(answer)
    return answer


def check_status(answer: HttpAnswer) -> None:
    if answer.status < 300 or answer.status == 304:
        return
    if answer.status == 401:
        raise AuthExpired("Template refused the token")
    if answer.status == 403:
        raise LostSight("Template answered 403: the token may not see this")
    if answer.status in {404, 410}:
        raise ResourceGone(f"Template answered {answer.status}")
    if answer.status == 429:
        raise RateLimited("Template asked to wait", until=_until(answer))
    if answer.status >= 500:
        raise ProviderUnavailable(f"Template answered {answer.status}")
    raise ProviderContractBroken(f"Template answered {answer.status}")


def decode(body: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Raises ProviderUnavailable for a body that is cut off, ProviderContractBroken for one of another shape."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise ProviderContractBroken(f"Template's answer does not fit {kind.__name__}: {error}") from error
    except msgspec.DecodeError as error:
        raise ProviderUnavailable("Template's answer is not whole JSON") from error


def _until(answer: HttpAnswer) -> datetime:
    return datetime.now(UTC) + wait_asked(answer.headers, otherwise=WAIT)

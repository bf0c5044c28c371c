"""The writer that asks an OpenAI-compatible endpoint, within a day's budget; without it, sentences are extracted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from libs.common.database import erasure
from libs.common.database.engine import Database
from libs.common.errors import ProviderContractBroken, ProviderUnavailable
from libs.common.http.client import AddressRefused, OutboundClient, Response
from libs.common.http.retry_after import wait_asked
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter
from services.chunker.domain.summaries import BUDGET_USED_UP, Asked
from services.chunker.repository.summaries import paid
from services.chunker.summarising.extracting import extracted
from services.chunker.summarising.plain_text import as_text
from services.chunker.summarising.prompt import request, tokens_at_most
from services.chunker.summarising.tree import Written
from services.chunker.use_cases.pruning import prune_later

LLM = "llm"
UNAVAILABLE, REFUSED, NO_TEXT = "endpoint_unavailable", "endpoint_refused", "endpoint_said_nothing"
ANSWER_SECONDS = 60.0
ATTEMPTS = 3
LONGEST_WAIT = 20.0  # asked to wait longer, it is asked again with the tree
LARGEST_BODY = 256 * 1024
AGAIN = frozenset({408, 429, 500, 502, 503, 504})

_calls = counter("chunker_summary_calls_total", "Calls of the summary endpoint", ["outcome"])
_tokens = counter("chunker_summary_tokens_total", "Tokens that the summary endpoint charged", [])
log = get_logger(__name__)


class _Message(msgspec.Struct):
    """Text alone is read of an answer: a call of a tool in it is nothing to us."""

    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    total_tokens: int = 0


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class Unanswered(Exception):
    """Why there is no answer, in the words of a node's note; `charged` if the call may have cost something."""

    def __init__(self, note: str, *, charged: bool = False) -> None:
        super().__init__(note)
        self.note = note
        self.charged = charged


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """`tokens_per_day` are of each workspace, and stored."""

    db: Database
    outbound: OutboundClient
    url: str
    model: str
    api_key: str = field(repr=False)
    tokens_per_day: int
    better: bool = True
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def write(self, asked: Asked) -> Written:
        """The same input is never paid twice; what cannot be paid or asked is extracted, and says so."""
        async with self.db.transaction(asked.workspace) as tx:
            known = await paid.answer(tx, self.model, asked.input_hash)
        if known is not None:
            return Written(known, LLM)
        try:
            text = await self._paid(asked)
        except Unanswered as reason:
            _calls.labels(reason.note).inc()
            return await asyncio.to_thread(extracted, asked, reason.note)
        return Written(text, LLM)

    async def _paid(self, asked: Asked) -> str:
        """Taken from the budget, asked, settled; a crash between leaves it taken, never unpaid."""
        most = tokens_at_most(asked)
        async with self.db.transaction(asked.workspace) as tx:
            gone = await erasure.is_erased(tx)
            day = None if gone else await paid.spend(tx, asked.workspace, most, self.tokens_per_day)
        if day is None:
            raise Unanswered(BUDGET_USED_UP)
        try:
            answer = await self._answer(asked)
        except Unanswered as reason:
            await self._settle(asked, day, 0 if reason.charged else -most, "")
            raise
        used = (answer.usage.total_tokens if answer.usage else 0) or most
        text = as_text(next((one.message.content or "" for one in answer.choices), ""))
        await self._settle(asked, day, used - most, text)
        if not text:
            raise Unanswered(NO_TEXT)
        _calls.labels("answered").inc()
        _tokens.inc(used)
        return text

    async def _settle(self, asked: Asked, day: str, more: int, text: str) -> None:
        async with self.db.transaction(asked.workspace) as tx:
            await paid.settle(tx, day, more)
            if text and not await erasure.is_erased(tx):
                await prune_later(tx)
                await paid.keep(tx, asked.workspace, self.model, asked.input_hash, text)

    async def _answer(self, asked: Asked) -> _Completion:
        for attempt in range(ATTEMPTS):
            response = await self._call(asked)
            if response.status == 200:
                return self._read(response)
            if response.status not in AGAIN:
                log.warning("summary_endpoint_refused", status=response.status)
                raise Unanswered(REFUSED)
            wait = wait_asked(response.headers, otherwise=timedelta(seconds=2**attempt)).total_seconds()
            if attempt == ATTEMPTS - 1 or wait > LONGEST_WAIT:
                break
            await self.sleep(wait)
        raise Unanswered(UNAVAILABLE)

    async def _call(self, asked: Asked) -> Response:
        """No redirect is followed: content goes to the address that the operator named and to no other."""
        try:
            return await self.outbound.request(
                "POST",
                f"{self.url.rstrip('/')}/chat/completions",
                headers={"authorization": f"Bearer {self.api_key}"} if self.api_key else {},
                json=request(self.model, asked),
                timeout=ANSWER_SECONDS,
                largest_body=LARGEST_BODY,
                follow=False,
            )
        except ProviderUnavailable:
            raise Unanswered(UNAVAILABLE, charged=True) from None
        except (AddressRefused, ProviderContractBroken) as error:
            log.warning("summary_endpoint_refused", code=error.code)
            raise Unanswered(REFUSED) from None

    def _read(self, response: Response) -> _Completion:
        try:
            return response.json(_Completion)
        except ProviderContractBroken:
            raise Unanswered(NO_TEXT, charged=True) from None

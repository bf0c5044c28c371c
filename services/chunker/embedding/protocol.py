"""What turns texts into vectors, whichever model does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from libs.common.errors import ConfigurationError, Disposition, SluiceError


class Embedder(Protocol):
    """Vectors are unit length, in the bytes of a halfvec (halfvec.py); each stands where its text stood.

    `name` is the identity of model and version: two embedders of one name make the same vectors. Raises PassingFailure
    when it may work later, TextRefused when one of the texts never will.
    """

    @property
    def name(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def max_tokens(self) -> int:
        """What it reads of a text, in its own tokens."""
        ...

    async def embed_passages(self, texts: Sequence[str]) -> list[bytes]: ...
    async def embed_query(self, text: str) -> bytes: ...
    async def aclose(self) -> None: ...


class TextRefused(SluiceError):
    """Asked alone, it tells which text: the others of its batch are asked again without it."""

    code = "text_refused"
    disposition = Disposition.ACK
    title = "The embedding endpoint refuses this text"


class ModelMissing(ConfigurationError):
    """The files of the bundled model are not where they are looked for, or are not the ones that are pinned."""

    code = "model_missing"

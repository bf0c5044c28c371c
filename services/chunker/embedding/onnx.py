"""A text read by one pinned model, quantised to int8: by ONNX Runtime, on the CPU and without torch (decision 0026)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from services.chunker.embedding.halfvec import unit
from services.chunker.embedding.protocol import ModelMissing

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"


class Pinned(NamedTuple):
    """`digests` are SHA-256 of its files. `pooling`: which hidden states stand for the whole text."""

    name: str
    window: int
    pooling: Literal["first", "mean"]
    digests: Mapping[str, str]


class Reader:
    """Raises ModelMissing unless `place` holds a directory of the model's name with the pinned files."""

    def __init__(self, place: Path, model: Pinned, *, threads: int) -> None:
        content = {name: _pinned(place / model.name / name, digest) for name, digest in model.digests.items()}
        self._tokenizer = Tokenizer.from_buffer(content[TOKENIZER])
        self._tokenizer.enable_truncation(model.window)
        self._tokenizer.no_padding()
        self._session = _session(content[MODEL], threads)
        self._pooling = model.pooling

    def read(self, text: str) -> Any:
        """A vector of unit length. One text a run: its int8 scales are then its own, and nothing is padded.

        Measured: four at a time cost 1.1 to 1.5 times as much a text, sixteen 1.6 to 3.4 times and five times the RAM.
        """
        read = self._tokenizer.encode(text)
        given = {"input_ids": read.ids, "attention_mask": read.attention_mask, "token_type_ids": read.type_ids}
        hidden: Any = self._session.run(None, {name: np.array([row], np.int64) for name, row in given.items()})[0][0]
        return unit(hidden[0] if self._pooling == "first" else hidden.mean(axis=0))[0]


def _pinned(path: Path, digest: str) -> bytes:
    place = f"{path.parent.name}/{path.name}"
    try:
        content = path.read_bytes()
    except OSError:
        raise ModelMissing(f"no {place} in EMBEDDING_MODEL_DIR") from None
    if sha256(content).hexdigest() != digest:
        raise ModelMissing(f"{place} in EMBEDDING_MODEL_DIR is not the pinned one")
    return content


def _session(model: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

"""Vectors in the binary form of pgvector's halfvec: as text 100,000 of them take 14 s to write."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

HEAD = struct.Struct(">hh")


def halfvecs(rows: Any) -> list[bytes]:
    """Rows of numbers → unit length, half precision, big-endian behind their dimension. A row of zeros stays one."""
    matrix = np.atleast_2d(np.asarray(rows, dtype=np.float32))
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = (matrix / np.maximum(lengths, 1e-12)).astype(">f2")
    head = HEAD.pack(matrix.shape[1], 0)
    return [head + row.tobytes() for row in unit]


def numbers(vectors: Iterable[bytes]) -> Any:
    """The matrix again, float32."""
    return np.stack([np.frombuffer(one, dtype=">f2", offset=HEAD.size) for one in vectors]).astype(np.float32)

"""Vectors in the binary form of pgvector's halfvec: as text 100,000 of them take 14 s to write."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

HEAD = struct.Struct(">hh")


def halfvecs(rows: Any) -> list[bytes]:
    """Rows of numbers → unit length, half precision, big-endian behind their dimension. A row of zeros stays one."""
    matrix = unit(rows).astype(">f2")
    head = HEAD.pack(matrix.shape[1], 0)
    return [head + row.tobytes() for row in matrix]


def unit(rows: Any) -> Any:
    """Each row of unit length, float32."""
    matrix = np.atleast_2d(np.asarray(rows, dtype=np.float32))
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)


def numbers(vectors: Iterable[bytes]) -> Any:
    """The matrix again, float32."""
    return np.stack([np.frombuffer(one, dtype=">f2", offset=HEAD.size) for one in vectors]).astype(np.float32)

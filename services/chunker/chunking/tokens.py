"""Exact cl100k token counts without a download; loaded on first use, since the vocabulary costs 50 ms."""

from collections.abc import Callable
from functools import cache


@cache
def counter() -> Callable[[str], int]:
    """`count(text)`; the text must hold no lone surrogate (`normalise_text` sees to it).

    Counts add up over pieces that begin at the start of a line which is not blank: no token reaches across there.
    """
    from rs_bpe.bpe import openai  # type: ignore[import-untyped,unused-ignore]

    count: Callable[[str], int] = openai.cl100k_base().count
    return count

"""Exact cl100k token counts without a download; loaded on first use, since it costs 0.2 s and 40 MB."""

from collections.abc import Callable
from functools import cache


@cache
def counter() -> Callable[[str], int]:
    """`count(text)`; the text must hold no lone surrogate (`normalise_text` sees to it).

    Counts add up over pieces that begin at the start of a line which is not blank: no token reaches across there.
    """
    # The package's public functions count batches on threads; the tokenizer below them counts one text at once.
    from toktok._toktok import Tokenizer

    count: Callable[[str], int] = Tokenizer("cl100k_base", "").count
    return count

"""Which of the words that look alike a mistyped one may have been."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 3
_TWO_SLIPS_FROM = 7  # letters: a shorter word with two slips is another word
SHORTEST, LONGEST = 4, 30


def can_be_mistyped(lexeme: str) -> bool:
    """Neither a number nor a digest is mistyped for a word."""
    return SHORTEST <= len(lexeme) <= LONGEST and not any(letter.isdigit() for letter in lexeme)


def likely(word: str, alike: Iterable[str]) -> tuple[str, ...]:
    """Those that are fewest slips away, in the order given; none if it takes more than a typo."""
    allowed = 2 if len(word) >= _TWO_SLIPS_FROM else 1
    slips = {one: distance(word, one) for one in alike}
    least = min(slips.values(), default=allowed + 1)
    return tuple(one for one, count in slips.items() if count == least <= allowed)[:MOST]


def distance(one: str, other: str) -> int:
    """Letters put in, left out, replaced, or two neighbours swapped."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        last, before, row = before, row, [i]
        for j, wanted in enumerate(other, start=1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if last and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]

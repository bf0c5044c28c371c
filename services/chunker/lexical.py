"""Words as the lexical index sees them: punctuation gone, identifiers whole and in parts, hits marked in the text."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

# Python's \w leaves out the marks that Indic, Thai, Arabic and Hebrew words are written with.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065f"
    "\u0900-\u0dff\u0e31-\u0e4e\u1ab0-\u1aff\u200c\u200d"
)
_WORD = re.compile(rf"[\w{_MARKS}]+")
_NON_WORD = re.compile(rf"[^\w{_MARKS}]+")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^A-Za-z0-9_]+")
_LONGEST_WORD = 200
_LONGEST_QUERY = 1000
_MOST_TERMS = 64
_SHORT_STEM = 4
_MOST_SNIPPETS = 3


def normalise_for_index(text: str) -> str:
    """What `to_tsvector` is given: words parted by blanks, then the parts of every identifier among them.

    `index_wanted` and `indexWanted` both give the word `indexwanted`, whatever the case, and the parts index, wanted.
    """
    words: list[str] = []
    parts: list[str] = []
    for word in _words(text):
        words.append(word.replace("_", ""))
        if not _is_simple(word):
            found = _PART.findall(word)
            parts += found if len(found) > 1 else ()
    return " ".join(word for word in words + parts if word)


def query_terms(query: str) -> str:
    """A query by the same rules as the index, each word once, bounded in length; empty if it holds no word."""
    words: dict[str, str] = {}
    for word in normalise_for_index(query[:_LONGEST_QUERY]).split():
        words.setdefault(word.lower(), word)
    return " ".join(list(words.values())[:_MOST_TERMS])


def _words(text: str) -> Iterator[str]:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE))
    return (word[:_LONGEST_WORD] for word in _NON_WORD.sub(" ", text).split())


def _is_simple(word: str) -> bool:
    return word.isalpha() and (word[1:].islower() or word.isupper() or len(word) == 1)


class Highlight(msgspec.Struct, frozen=True):
    """A piece of the text as it stands there, and what matched: [start, end) in code points of the piece."""

    text: str
    ranges: tuple[tuple[int, int], ...]


class _Hit(NamedTuple):
    start: int
    end: int
    term: str


def highlight(text: str, terms: Sequence[str], max_len: int = 240) -> list[Highlight]:
    """The pieces of the text that show most of the terms (lexemes, stemmed or not), best first, at most three.

    A text without a match gives its beginning, with no ranges.
    """
    hits = list(_hits(text, _stems(terms)))
    if not hits:
        return [Highlight(text[: _word_end(text, max_len)], ())]
    pieces: list[Highlight] = []
    shown: set[str] = set()
    while len(pieces) < _MOST_SNIPPETS:
        best = _best_window([hit for hit in hits if hit.term not in shown], max_len)
        if not best:
            break
        piece, terms_in_it = _piece(text, hits, best, max_len)
        pieces.append(piece)
        shown |= terms_in_it
    return pieces


def _stems(terms: Sequence[str]) -> dict[str, str]:
    """Prefix to term. English stemmers turn a final y into i: both are looked for."""
    stems: dict[str, str] = {}
    for term in list(terms)[:_MOST_TERMS]:
        folded = _folded(term)
        if folded:
            stems[folded] = folded
            if folded.endswith("i") and len(folded) >= _SHORT_STEM:
                stems.setdefault(folded[:-1] + "y", folded)
    return stems


def _folded(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold().replace("_", "")


def _hits(text: str, stems: dict[str, str]) -> Iterator[_Hit]:
    by_length = sorted(stems, key=len, reverse=True)
    first = tuple(by_length)
    initials = {initial for stem in stems for initial in (stem[0], stem[0].upper())}
    for found in _WORD.finditer(text) if stems else ():
        word = found[0]
        if word.islower() and word[0] not in initials and word.isascii() and word.isalpha():
            continue  # most words: they begin with no term and have no parts
        word = word[:_LONGEST_WORD]
        term = _matched(_folded(word), by_length, first)
        if term:
            yield _Hit(found.start(), found.end(), stems[term])
        elif not _is_simple(word):
            for part in _PART.finditer(word):
                term = _matched(_folded(part[0]), by_length, first)
                if term:
                    yield _Hit(found.start() + part.start(), found.start() + part.end(), stems[term])


def _matched(word: str, by_length: Sequence[str], all_of_them: tuple[str, ...]) -> str | None:
    """The longest term the word begins with; a short one must be the word, give or take a plural."""
    if not word.startswith(all_of_them):
        return None
    for term in by_length:
        if word.startswith(term) and (len(term) >= _SHORT_STEM or word in (term, f"{term}s")):
            return term
    return None


def _best_window(hits: Sequence[_Hit], max_len: int) -> tuple[int, int] | None:
    """First and last hit of the stretch within `max_len` with the most distinct terms, then the most hits."""
    best: tuple[int, int] | None = None
    best_score = (0, 0)
    counts: dict[str, int] = {}
    low = 0
    for high, hit in enumerate(hits):
        counts[hit.term] = counts.get(hit.term, 0) + 1
        while hit.end - hits[low].start > max_len and low < high:
            left = hits[low].term
            counts[left] -= 1
            if not counts[left]:
                del counts[left]
            low += 1
        score = (len(counts), high - low + 1)
        if score > best_score:
            best, best_score = (hits[low].start, hit.end), score
    return best


def _piece(text: str, hits: Sequence[_Hit], window: tuple[int, int], max_len: int) -> tuple[Highlight, set[str]]:
    first, last = window
    room = max(max_len - (last - first), 0)
    start = max(first - room // 2, 0)
    start = start if not start else _word_start(text, start, first)
    end = max(_word_end(text, start + max_len), min(last, start + max_len))
    within = [hit for hit in hits if hit.start >= start and hit.end <= end]
    if not within:  # one match longer than the piece may be
        within = [_Hit(start, end, hit.term) for hit in hits if hit.start == first]
    ranges = tuple((hit.start - start, hit.end - start) for hit in within)
    return Highlight(text[start:end], ranges), {hit.term for hit in within}


def _word_start(text: str, at: int, limit: int) -> int:
    blank = next((i for i in range(at, limit) if text[i].isspace()), None)
    return blank + 1 if blank is not None and blank - at < 40 else at


def _word_end(text: str, at: int) -> int:
    if at >= len(text):
        return len(text)
    return next((i for i in range(at, max(at - 40, 0), -1) if text[i].isspace()), at)

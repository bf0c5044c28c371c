"""Extractive summaries: the sentences nearest a text's centre, unlike each other, early ones first. No model needed."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import log, sqrt

from services.chunker.chunking.markdown_blocks import scan

# Set once, not tuned: measured with these on 206 pages that people had described.
_POSITION_WEIGHT, _RELEVANCE = 0.15, 0.7
_MOST_SENTENCES = 200
_SHORTEST, _LONGEST = 20, 400
_LONGEST_FALLBACK = 240

_PROSE = frozenset({"paragraph", "list", "quote"})
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[。!?])|\n(?=[ \t>]*(?:[-+*]|\d{1,3}[.)])[ \t])")
_MARKS = re.compile(r"^[ \t>]*(?:(?:[-+*]|\d{1,3}[.)])[ \t]+)?(?:\[[ xX]\][ \t]+)?", re.MULTILINE)
_IMAGE = re.compile(r"!\[[^\[\]\n]*\](?:\([^()\n]*\)|\[[^\[\]\n]*\])?")
_LINK = re.compile(r"\[([^\[\]\n]*)\](?:\([^()\n]*\)|\[[^\[\]\n]*\])")
_DEFINITION = re.compile(r"^[ \t]*\[[^\[\]\n]*\]:.*$", re.MULTILINE)
_TAG = re.compile(r"<[/!A-Za-z][^<>\n]*>")
_EMPHASIS = re.compile(r"\*{1,3}|`+|~~|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]+")

Vector = dict[str, float]


def summarise(text: str, sentences: int = 4) -> str:
    """At most so many sentences of the text, in its order, without Markdown; its beginning if it holds no prose."""
    found = list(_sentences(text))
    if not found:
        return _beginning(text)
    if len(found) > _MOST_SENTENCES:  # the head whole, the rest evenly: cost stays bounded, late parts are heard
        head, rest = found[: _MOST_SENTENCES // 2], found[_MOST_SENTENCES // 2 :]
        step = -(-len(rest) // (_MOST_SENTENCES // 2))
        found = head + rest[::step]
    chosen = _choose(found, sentences)
    return " ".join(found[i] for i in sorted(chosen))


def _sentences(text: str) -> Iterator[str]:
    seen: set[str] = set()
    for block in scan(text):
        if block.kind not in _PROSE:
            continue
        for sentence in _SENTENCE_END.split(_plain(text[block.start : block.end])):
            plain = " ".join(sentence.split())
            if _SHORTEST <= _weight(plain) and len(plain) <= _LONGEST and plain not in seen:
                seen.add(plain)
                yield plain


def _weight(sentence: str) -> int:
    """Length in letters of an alphabet; a character of Chinese or Japanese counts for about four."""
    return len(sentence) if sentence.isascii() else len(sentence) + 3 * sum(char > "\u3040" for char in sentence)


def _plain(block: str) -> str:
    block = _MARKS.sub("", _DEFINITION.sub("", block))
    return _EMPHASIS.sub("", _TAG.sub("", _LINK.sub(r"\1", _IMAGE.sub("", block))))


def _beginning(text: str) -> str:
    words = " ".join(text[: _LONGEST_FALLBACK * 4].split())
    return words if len(words) <= _LONGEST_FALLBACK else words[:_LONGEST_FALLBACK].rpartition(" ")[0]


def _choose(sentences: Sequence[str], wanted: int) -> list[int]:
    """Maximal marginal relevance against the centroid, with a prior for what comes early."""
    vectors = _vectors(sentences)
    centre = _centre(vectors)
    merit = [
        _RELEVANCE * _cosine(vector, centre) + _POSITION_WEIGHT * (1 - i / len(vectors))
        for i, vector in enumerate(vectors)
    ]
    likeness = [0.0] * len(vectors)
    chosen: list[int] = []
    left = list(range(len(vectors)))
    while left and len(chosen) < wanted:
        best = max(left, key=lambda i: merit[i] - (1 - _RELEVANCE) * likeness[i])
        chosen.append(best)
        left.remove(best)
        for i in left:
            likeness[i] = max(likeness[i], _cosine(vectors[i], vectors[best]))
    return chosen


def _vectors(sentences: Sequence[str]) -> list[Vector]:
    counts = [Counter(word.lower() for word in _WORD.findall(sentence)) for sentence in sentences]
    seen = Counter(word for count in counts for word in count)
    return [_unit({word: n * log(1 + len(counts) / seen[word]) for word, n in count.items()}) for count in counts]


def _centre(vectors: Sequence[Vector]) -> Vector:
    total: Vector = {}
    for vector in vectors:
        for word, weight in vector.items():
            total[word] = total.get(word, 0.0) + weight
    return _unit(total)


def _unit(vector: Vector) -> Vector:
    length = sqrt(sum(weight * weight for weight in vector.values())) or 1.0
    return {word: weight / length for word, weight in vector.items()}


def _cosine(one: Vector, other: Vector) -> float:
    if len(one) > len(other):
        one, other = other, one
    return sum(weight * other.get(word, 0.0) for word, weight in one.items())

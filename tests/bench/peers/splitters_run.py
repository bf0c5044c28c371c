"""Chunks texts with the splitters that are measured; runs in their own environment, never in ours.

`splitters_run.py <texts.json> <language>`: writes the splitters' names, then answers each line of its input:
`time <name>` with the CPU seconds of one pass over all texts, `chunks <name>` with the chunks of each text.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import semchunk
import tiktoken
from chonkie import RecursiveChunker
from chonkie.types import RecursiveLevel, RecursiveRules
from langchain_text_splitters import Language, MarkdownTextSplitter, RecursiveCharacterTextSplitter
from rs_bpe.bpe import openai
from semantic_text_splitter import MarkdownSplitter
from toktok._toktok import Tokenizer

BUDGET = 512
Split = Callable[[str], list[str]]
# The recipe "markdown" of chonkie, which it would download: headings, then blank lines, sentences, words.
MARKDOWN = RecursiveRules(
    levels=[
        RecursiveLevel(delimiters=[f"\n{'#' * level} " for level in range(1, 7)], include_delim="next"),
        RecursiveLevel(delimiters=["\n\n", "\n", "\r\n", "\r"]),
        RecursiveLevel(delimiters=[". ", "! ", "? "]),
        RecursiveLevel(whitespace=True),
        RecursiveLevel(),
    ]
)


def splitters() -> dict[str, Split]:
    """By tokenizer: `rs_bpe` and `toktok` count, `tiktoken` is what chonkie and langchain take when told cl100k."""
    rs_bpe, toktok = openai.cl100k_base().count, Tokenizer("cl100k_base", "").count
    return {
        "chonkie_recursive_tiktoken": _chonkie(_tiktoken()),
        "chonkie_recursive_rs_bpe": _chonkie(rs_bpe),
        "chonkie_recursive_toktok": _chonkie(toktok),
        "chonkie_markdown_tiktoken": _chonkie(_tiktoken(), rules=MARKDOWN),
        "chonkie_markdown_rs_bpe": _chonkie(rs_bpe, rules=MARKDOWN),
        "chonkie_markdown_toktok": _chonkie(toktok, rules=MARKDOWN),
        "chonkie_recursive_characters": _pieces(RecursiveChunker().chunk),
        "langchain_markdown_rs_bpe": MarkdownTextSplitter(
            chunk_size=BUDGET, chunk_overlap=0, length_function=rs_bpe
        ).split_text,
        "semantic_text_splitter_markdown_rs_bpe": MarkdownSplitter.from_callback(rs_bpe, BUDGET, trim=False).chunks,
        "semchunk_rs_bpe": _semchunk(rs_bpe),
    }


def code_splitters(language: str) -> dict[str, Split]:
    kind = {"python": Language.PYTHON, "typescript": Language.TS, "go": Language.GO}[language]
    tiktoken_encode = _tiktoken().encode_ordinary
    counters = {
        "tiktoken": lambda text: len(tiktoken_encode(text)),
        "rs_bpe": openai.cl100k_base().count,
        "toktok": Tokenizer("cl100k_base", "").count,
    }
    return {
        f"langchain_{name}": RecursiveCharacterTextSplitter.from_language(
            kind, chunk_size=BUDGET, chunk_overlap=0, length_function=count
        ).split_text
        for name, count in counters.items()
    }


def _chonkie(tokenizer: object, **given: object) -> Split:
    return _pieces(RecursiveChunker(tokenizer=tokenizer, chunk_size=BUDGET, **given).chunk)


def _pieces(chunk: Callable[[str], list[object]]) -> Split:
    def split(text: str) -> list[str]:
        return [piece.text for piece in chunk(text)]

    return split


def _semchunk(count: Callable[[str], int]) -> Split:
    """Without its memory: texts would be counted in the first round only."""
    return semchunk.chunkerify(count, BUDGET, memoize=False)


def _tiktoken() -> tiktoken.Encoding:
    """cl100k with the vocabulary that toktok carries, since tiktoken downloads its own."""
    tokens = Tokenizer("cl100k_base", "")
    ranks = {tokens.decode_single_token_bytes(rank): rank for rank in range(100_256)}
    pattern = (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
        r"|\s+(?!\S)|\s"
    )
    return tiktoken.Encoding("cl100k_base", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def main(place: str, language: str) -> None:
    with open(place, encoding="utf-8") as file:
        texts = json.load(file)
    known = splitters() if language == "markdown" else code_splitters(language)
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        verb, name = line.split()
        split = known[name]
        start = time.process_time()
        chunks = [split(text) for text in texts]
        seconds = time.process_time() - start
        print(json.dumps(seconds if verb == "time" else chunks), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

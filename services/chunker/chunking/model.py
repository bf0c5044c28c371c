"""What goes into the chunker and what comes out, so that every other room agrees on text and ranges."""

from typing import Literal

import msgspec

ChunkKind = Literal[
    "markdown", "html", "code", "notebook", "plain", "pages", "slides", "records", "conversation", "thread"
]


def normalise_text(text: str) -> str:
    """The one stored form of a text: byte ranges of chunks refer to it. Applying it twice changes nothing.

    Line ends become LF, a leading byte order mark goes, U+0000 and lone surrogates (neither can be stored) become
    U+FFFD, surrogate pairs become their character. Nothing else changes: no NFC, since code must stay as written.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = _encodable(text).lstrip("\ufeff")
    return text.replace("\0", "\ufffd")


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class Document(msgspec.Struct, frozen=True):
    """One source as the chunker reads it; its texts are normalised on construction."""

    source_id: str
    type: str
    title: str
    path: str | None
    kind: ChunkKind
    language: str | None
    text: str

    def __post_init__(self) -> None:
        for field in ("title", "path", "text"):
            if (value := getattr(self, field)) is not None:
                msgspec.structs.force_setattr(self, field, normalise_text(value))


class Part(msgspec.Struct, frozen=True, gc=False):
    """A section of a chunk that holds several, under its own headings."""

    heading_path: tuple[str, ...]
    context: str
    text: str


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A run of the document's text. `tokens` counts `text` alone, exactly, in cl100k; `context` is kept apart from it.

    Two versions of a document may share an id while their texts differ in trailing blanks or Unicode composition:
    text and ranges are to be written with every generation, only what is derived from the words may be kept.
    `words` is what people read of the text where that is something else, of HTML without its tags; search reads those.
    `parts` are the sections of a chunk that holds several, as people read them.
    """

    id: str
    ordinal: int
    anchor: str
    heading_path: tuple[str, ...]
    text: str
    start_byte: int
    end_byte: int
    tokens: int
    context: str
    words: str | None = None
    parts: tuple[Part, ...] = ()

    @property
    def readable(self) -> str:
        return self.text if self.words is None else f"{self.words}\n"


class Section(msgspec.Struct, frozen=True, gc=False):
    """Where a unit stands: its headings or scopes from the outermost in, and the anchor a link would use."""

    path: tuple[str, ...] = ()
    anchor: str = ""


class Unit(msgspec.Struct, gc=False):
    """The smallest run of text a chunk is packed from; it ends where the next one starts.

    `rank` says how good a place its start is for a boundary. `exact` says that its token count adds up with what
    precedes it. `header` is a table's header row when the unit continues that table.
    """

    start: int
    tokens: int
    rank: int
    section: Section
    exact: bool = True
    header: str = ""


# Ranks of a boundary, weakest first: lines of code, of a fence, stand at the margin or, parted, after a gap there;
# headings of level 1..6 are H1 down to H1 - 5.
GLUED, WORD, SENTENCE, LINE, MARGIN, PARTED, ITEM, BLOCK = range(8)
H1 = 14
HARD = 99

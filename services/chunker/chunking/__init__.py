"""Cuts one document into chunks whose ids survive edits elsewhere: by headings, by syntax tree, by sentence.

| kind | sections | never cut inside, unless it alone exceeds the budget |
|---|---|---|
| markdown | headings with their anchors | fence, table row, JSX tag, list item, sentence |
| html | headings with their ids | `<pre>`, table row, sentence; `words` is the text without tags, scripts and styles |
| code | scopes | definition, line |
| notebook | headings, scopes; `#cell-id=ab12` or `#cell=3` | as markdown and code; `words` is what its cells say |
| plain | none | paragraph, sentence |
| pages | pages, parted by form feeds: `#page=3` | paragraph, sentence; `words` joins hyphenated line ends |
| slides | slides, parted by form feeds or `---`; short ones share a chunk | a slide |
| records | none; the first record is every later chunk's context | record of CSV or TSV, quoted line ends included |
| conversation | comments; each starts a chunk | as markdown |
| thread | messages; short ones share a chunk | a message |

How a conversation is written (issues, pull requests), and a thread of a chat:
the provider renders Markdown, body first, and opens each comment with a line of exactly this form,

    ## <author> commented at <RFC 3339 time>        (or any other words before " at ": approved, replied)

The line counts wherever it stands at the start of a line, even when the comment before it left a code fence open.
Headings inside a comment rank below its line, so a comment cannot pass for a section of the document.
Authorship shown to people comes from the provider's own fields; a forged line can only move a chunk's boundary.
"""

from services.chunker.chunking.assembly import chunk
from services.chunker.chunking.model import Chunk, ChunkKind, Document, normalise_text

__all__ = ["Chunk", "ChunkKind", "Document", "chunk", "normalise_text"]

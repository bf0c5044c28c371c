"""HTML that nobody would write is cut all the same, and its words are those that the reader of sites finds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.sites.html import read_html
from libs.common.sites.markdown import texts
from tests.unit.chunker.texts import assert_sound, chunks_of, document

_SOUP = (
    "<p> </p> <div> </div> <h1> </h1> <h3/id=x> </h3> <pre> </pre> <table> <tr> </tr> <td> </td> </table> <li> <ul>"
    "|<script>|</script>|<style>|</style>|<!--|-->|<!x>|<?y?>|<|>|</|<a|<a\u00a0b='|'|\"|&amp;|&#x0;|<br/>| word |\n"
)


_TAGS = st.sampled_from([part for group in _SOUP.split("|") for part in (group.split() if "> <" in group else [group])])


@settings(max_examples=60, deadline=None)
@given(st.lists(_TAGS, max_size=60).map("".join))
def test_any_soup_of_tags_joins_back(text: str) -> None:
    assert_sound(document(text, "html"), 16)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["<p>", "</p>", "<b>", "</b>", "<div>", "</div>", "<li>", "wo", "rd ", "&lt;", "\n"])))
def test_words_are_those_of_the_parser_that_reads_sites(parts: list[str]) -> None:
    text = "".join(parts)
    root = read_html(f"<body>{text}</body>".encode())
    theirs = "" if root is None else "".join(texts(root))
    ours = "".join(c.words or "" for c in chunks_of(f"<body>{text}</body>", "html"))
    assert "".join(ours.split()) == "".join(theirs.split())

"""A file of a repository is cut by what it is, whichever provider brought it."""

import pytest

from libs.common.provider.text_kinds import kind_of_file


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("docs/a.md", "# a", "markdown"),
        ("docs/a.MDX", "# a", "markdown"),
        ("talk/slides.md", "# a", "slides"),
        ("talk/intro.slides.md", "# a", "slides"),
        ("talk/myslides.md", "# a", "markdown"),
        ("talk/deck.md", "---\ntheme: x\nmarp: true\n---\n# a", "slides"),
        ("talk/deck.md", "---\ntheme: x\n---\nmarp: true\n", "markdown"),
        ("site/index.html", "<p>", "html"),
        ("site/INDEX.HTM", "<p>", "html"),
        ("lab/a.ipynb", "{}", "notebook"),
        ("data/a.csv", "a,b", "records"),
        ("data/a.tsv", "a\tb", "records"),
        ("src/a.py", "x = 1\f", "code"),
        ("rfc.txt", "one\ftwo", "pages"),
        ("notes.txt", "one", "plain"),
        ("LICENSE", "one", "plain"),
    ],
)
def test_kind_of_a_file_follows_its_name_and_what_it_says_of_itself(path: str, text: str, kind: str) -> None:
    assert kind_of_file(path, text) == kind

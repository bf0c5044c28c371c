"""How Docusaurus writes what Markdown has no word for: admonitions, tabs, titles of code blocks."""

from __future__ import annotations

from libs.common.sites.html import Element
from libs.common.sites.markdown import Dialect, Writer, quoted, strong, texts

DROPPED = frozenset({"hash-link", "theme-doc-toc-mobile", "theme-doc-version-badge", "theme-doc-footer"})
ADMONITION = "theme-admonition-"


class DocusaurusDialect:
    def drops(self, element: Element) -> bool:
        return bool(DROPPED & classes(element))

    def block(self, element: Element, writer: Writer) -> list[str] | None:
        if element.tag != "div":
            return None
        names = classes(element)
        if "theme-admonition" in names:
            return writer.nest(lambda one: _admonition(one, names, writer), element)
        if "theme-tabs-container" in names:
            return _tabs(element, writer)
        if "theme-code-block" in names:
            return [block for pre in element.iter("pre") for block in writer.block(pre)]
        return None

    def code_title(self, pre: Element) -> str:
        """It stands before the code under a class that changes with every release. Of one block only the first code has
        it: a title that were read for each would make a small page a huge one."""
        block: Element | None = pre.getparent()
        inside = pre
        while block is not None and "theme-code-block" not in classes(block):
            if inside.getprevious() is not None:
                return ""
            inside, block = block, block.getparent()
        title = None if block is None else inside.getprevious()
        if title is None or title.getprevious() is not None or next(title.iter("pre"), None) is not None:
            return ""
        return " ".join("".join(texts(title)).split())


def classes(element: Element) -> frozenset[str]:
    return frozenset((element.get("class") or "").split())


def _admonition(element: Element, names: frozenset[str], writer: Writer) -> list[str]:
    """A quotation that opens with its kind and title."""
    if not len(element):
        return writer.blocks(element)
    kind = next((name.removeprefix(ADMONITION) for name in names if name.startswith(ADMONITION)), "note")
    heading, *content = element
    title = writer.inline(heading)
    said = kind.capitalize() if title.lower() == kind else f"{kind.capitalize()}: {title}"
    return quoted([*strong(said), *(block for one in content for block in writer.blocks(one))])


def _tabs(element: Element, writer: Writer) -> list[str]:
    """Each panel, shown or hidden, below the label of its tab."""
    labels = [writer.inline(tab) for tab in _with_role(element, "tab")]
    panels = _with_role(element, "tabpanel")
    labels += [""] * (len(panels) - len(labels))
    return [
        block for label, panel in zip(labels, panels, strict=False) for block in (*strong(label), *writer.blocks(panel))
    ]


def _with_role(element: Element, role: str) -> list[Element]:
    """Not those of tabs inside these tabs."""
    found: list[Element] = []
    waiting = list(reversed(element))
    while waiting:
        one = waiting.pop()
        if one.get("role") == role:
            found.append(one)
        elif one.get("role") != "tabpanel":
            waiting += reversed(one)
    return found


DIALECT: Dialect = DocusaurusDialect()

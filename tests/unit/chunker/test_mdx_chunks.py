"""MDX: a component is one block whatever its attributes hold, and the headings around it are found."""

import pytest

from services.chunker.chunking.markdown_blocks import scan
from tests.unit.chunker.texts import chunks_of, paragraphs

TABLE = """<PropertiesTable
  content={[
    {
      name: 'a > b',

      description: `# not a heading

```js
not a fence
`,
    },
  ]}
/>
"""


def kinds(text: str) -> list[str]:
    return [block.kind for block in scan(text)]


def test_component_with_blank_lines_in_its_attributes_is_one_block() -> None:
    assert kinds(f"# One\n\n{TABLE}\n## Two\n") == ["heading", "jsx", "heading"]


@pytest.mark.parametrize(
    "tag",
    [
        "<Tab\n  a='it\\'s'\n>\n",
        '<Tab\n  a={{ b: "}" }}\n/>\n',
        "<a.B\n",
        "<Tab {...all}\n  c\n>\n",
        "<Tab\n  on={() => x > 1}\n/>\n",
    ],
)
def test_headings_inside_and_after_a_component_are_found(tag: str) -> None:
    assert [block.title for block in scan(f"{tag}\n# Inside\n\nwords\n\n</Tab>\n\n# After\n") if block.title] == [
        "Inside",
        "After",
    ]


@pytest.mark.parametrize(
    "text", ["<Tab a\n\n# H\n", "<Tab a < b\n\n# H\n", "<T extends\n\n# H\n>\n", "<tab\n a={`\n\n# H\n`}>\n"]
)
def test_what_only_resembles_a_component_hides_no_heading(text: str) -> None:
    assert [block.title for block in scan(text) if block.kind == "heading"] == ["H"]


def test_component_that_fits_is_never_cut() -> None:
    chunks = chunks_of("\n".join(f"{paragraphs(2, seed=i)}\n{TABLE}" for i in range(12)), budget=128)
    assert sum(c.text.count("<PropertiesTable") for c in chunks) == 12
    assert all(c.text.count("<PropertiesTable") == c.text.count("/>") for c in chunks)


def test_component_over_the_budget_is_cut_where_an_object_starts() -> None:
    objects = "".join(f"    {{\n      name: 'n{i}',\n      type: 'string. Or so',\n    }},\n" for i in range(60))
    chunks = chunks_of(f"<Table\n  content={{[\n{objects}  ]}}\n/>\n", budget=96)
    assert len(chunks) > 5
    assert all(c.text.startswith("    {\n") for c in chunks[1:])


def test_imports_and_exports_over_the_budget_are_cut_between_lines() -> None:
    imports = "".join(f"import {{ One{i} }} from './one. Two/{i}';\n" for i in range(60))
    chunks = chunks_of(f"{imports}\n# Title\n\nWords.\n", budget=96)
    assert len(chunks) > 5
    assert all(c.text.startswith(("import ", "# Title")) for c in chunks)
    assert chunks[-1].heading_path == ("Title",)

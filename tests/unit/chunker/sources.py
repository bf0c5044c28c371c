"""Source of every language that has a grammar."""

from services.chunker.chunking.grammars import GRAMMARS
from tests.unit.chunker.texts import ROOT

# Imports, a definition with what belongs to it, and the scope it is known by.
LINE = "    value = value + other * third;\n" * 12
DEFINITIONS = {
    "javascript": ("import a from 'a';\n\n", f"/** doc */\nexport function one(x) {{\n{LINE}}}\n", "function one"),
    "typescript": (
        "import a from 'a';\n\n",
        f"@dec()\nexport class One<T> {{\n  m(): void {{\n{LINE}  }}\n}}\n",
        "class One",
    ),
    "tsx": ("import a from 'a';\n\n", f"export const One = () => {{\n{LINE}  return <b>x</b>;\n}};\n", "const One"),
    "go": (
        'package p\n\nimport "fmt"\n\n',
        f"// doc\nfunc (s *Server) One(x int) int {{\n{LINE}}}\n",
        "func Server.One",
    ),
    "java": (
        "package p;\n\nimport a.B;\n\n",
        f"/** doc */\n@A\nclass One {{\n  void m() {{\n{LINE}  }}\n}}\n",
        "class One",
    ),
    "rust": (
        "use a::b;\n\n",
        f"/// doc\n#[inline]\nimpl Drop for One {{\n  fn drop(&mut self) {{\n{LINE}  }}\n}}\n",
        "impl Drop for One",
    ),
    "c": ("#include <a.h>\n\n", f"/* doc */\nstatic int *one(int x) {{\n{LINE}}}\n", "function one"),
    "cpp": (
        "#include <a>\n\n",
        f"// doc\ntemplate <class T>\nclass One {{\n  void m() {{\n{LINE}  }}\n}};\n",
        "class One",
    ),
    "ruby": ("", f"# doc\nclass One\n  def m\n{LINE}  end\nend\n", "class One"),
    "bash": ("", f"# doc\none() {{\n{LINE}}}\n", "function one"),
    "csharp": (
        "using System;\n\n",
        f"/// doc\n[A]\npublic class One<T> {{\n  void M() {{\n{LINE}  }}\n}}\n",
        "class One",
    ),
    "php": (
        "<?php\nnamespace P;\nuse A\\B;\n\n",
        f"/** doc */\n#[A]\nfinal class One {{\n  function m() {{\n{LINE.replace('v', '$v')}  }}\n}}\n",
        "class One",
    ),
    "kotlin": (
        "package p\n\nimport a.B\n\n",
        f"/** doc */\n@A\nclass One {{\n  fun m() {{\n{LINE}  }}\n}}\n",
        "class One",
    ),
    "css": ('@import "a.css";\n\n', "/* doc */\n.one > a {\n" + "  color: var(--one);\n" * 20 + "}\n", ".one > a"),
    "toml": ("", "# doc\n[a.one]\n" + "".join(f"key{i} = [1, 2, 3]\n" for i in range(13)), "a.one"),
    "yaml": ("", "# doc\none:\n" + "  - value of: it\n" * 25, "one"),
}

_OWN = {
    "python": "services/chunker/chunking/packing.py",
    "go": "tests/support/compose/main.go",
    "bash": "deploy/kafka/start.sh",
    "yaml": "docker-compose.yml",
    "toml": "pyproject.toml",
    "json": "docs/api/auth.json",
}


def source(language: str) -> str:
    """A file of our own, or what a file of the language may hold."""
    if language in _OWN:
        return (ROOT / _OWN[language]).read_text()[:40_000]
    imports, definition, _ = DEFINITIONS[language]
    return imports + "\n".join(definition.replace("One", f"N{i}").replace("one", f"n{i}") for i in range(4))


SOURCES = {language: source(language) for language in GRAMMARS}

"""Which language and which kind of document a file is, by its name alone."""

from pathlib import PurePosixPath

from services.chunker.chunking.model import ChunkKind

_BY_SUFFIX = {
    "bash": "sh bash zsh ksh bats",
    "c": "c h",
    "cpp": "cc cpp cxx c++ hh hpp hxx h++ ipp tpp",
    "csharp": "cs",
    "css": "css scss sass less",
    "dart": "dart",
    "elixir": "ex exs",
    "go": "go",
    "graphql": "graphql gql",
    "haskell": "hs",
    "hcl": "tf hcl tfvars",
    "html": "html htm xhtml",
    "java": "java",
    "javascript": "js mjs cjs jsx",
    "json": "json jsonc json5 geojson",
    "kotlin": "kt kts",
    "lua": "lua",
    "perl": "pl pm",
    "php": "php",
    "powershell": "ps1 psm1",
    "proto": "proto",
    "python": "py pyi pyw",
    "r": "r",
    "ruby": "rb rake gemspec",
    "rust": "rs",
    "scala": "scala sc",
    "sql": "sql",
    "svelte": "svelte",
    "swift": "swift",
    "toml": "toml",
    "tsx": "tsx",
    "typescript": "ts mts cts",
    "vue": "vue",
    "xml": "xml xsd xsl svg plist",
    "yaml": "yaml yml",
    "zig": "zig",
}
_BY_NAME = {
    "brewfile": "ruby",
    "cmakelists.txt": "cmake",
    "dockerfile": "dockerfile",
    "gemfile": "ruby",
    "gnumakefile": "make",
    "justfile": "make",
    "makefile": "make",
    "rakefile": "ruby",
    "vagrantfile": "ruby",
}
_MARKDOWN = frozenset({"md", "mdx", "markdown", "mdown", "mkd"})
_LANGUAGES = {suffix: language for language, suffixes in _BY_SUFFIX.items() for suffix in suffixes.split()}


def language_of(path: str) -> str | None:
    """The language's name, or None for prose and for what nobody knows."""
    name = PurePosixPath(path).name.lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith("dockerfile."):
        return "dockerfile"
    return _LANGUAGES.get(_suffix(name))


def kind_of(path: str) -> ChunkKind:
    """How a file of this name is cut: Markdown by headings, source by syntax, anything else as plain text."""
    name = PurePosixPath(path).name.lower()
    if _suffix(name) in _MARKDOWN:
        return "markdown"
    return "code" if language_of(path) else "plain"


def _suffix(name: str) -> str:
    return name.rpartition(".")[2] if "." in name else ""

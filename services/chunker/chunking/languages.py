"""Which language a file is written in, by its name alone."""

from pathlib import PurePosixPath

_BY_SUFFIX = {
    "bash": "sh bash zsh ksh bats",
    "c": "c h",
    "cpp": "cc cpp cxx c++ hh hpp hxx h++ ipp tpp",
    "csharp": "cs",
    "css": "css",
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
    "scss": "scss sass less",
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
_LANGUAGES = {suffix: language for language, suffixes in _BY_SUFFIX.items() for suffix in suffixes.split()}


def language_of(path: str) -> str | None:
    """The language's name, or None for prose and for what nobody knows."""
    name = PurePosixPath(path).name.lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith("dockerfile."):
        return "dockerfile"
    return _LANGUAGES.get(_suffix(name))


def _suffix(name: str) -> str:
    return name.rpartition(".")[2] if "." in name else ""

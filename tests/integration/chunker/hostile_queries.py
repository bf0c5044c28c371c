"""Five hundred queries that mean to break a parser, a pattern, a statement or a wall between workspaces."""

from __future__ import annotations

import itertools
import random

SYNTAX = (
    "a & | ! b", "<->", "'a':*", "foo <3> bar", "!!!!", "((((", ":*", "a:ABCD", "'", "''", "\\", "\\\\", "'\\''",
    "%", "_", "%%%", "_%_", "\\%", "[a-z]*", "^.*$", "(a+)+$", "***:x", "(?i)x", "\\1", "{1,9999}", "[[:alpha:]]",
    "$.a[*] ? (@ > 1)", "strict $.**", "$..*", "@? '$'", "x'); DROP TABLE chunk; --", "'; SELECT pg_sleep(9); --",
    "1 OR 1=1", "\" OR \"\"=\"", "$1", ":query", ":workspace", "%s", "{0}", "{k1}", "${jndi:ldap://x}", "$$x$$",
    "E'\\x27'", "U&'\\0041'", "/* */", "--", ";", "`id`", "<script>", "&amp;", "../../etc/passwd", "\x07bell",
    "\x1b[31m", "\t\n\r\v\f", "\x7f", "\u0085", "\u200b", "\u202egnitset", "\ufeff", "\u2028", "\ufffd", "e\u0301",
    "ﬁ", "İ", "ß", "ẞ", "😀", "👩‍👩‍👧", "日本語", "ไทย", "العربية", "עברית", "हिन्दी", "\U0010ffff", "\u0338" * 50,
    '"', '""', '" "', '"""', '"a', 'a"', '"\u201c', '"%"', '"_"', '"\\"', '"(" ")"', '"\'"', '"***:x"', "“", "”x“",
    "NULL", "true", "NaN", "infinity", "-0", "1e999", "0x41", "SET app.workspace = 'w2'",
    "set_config('app.workspace','w2',true)", "RESET ALL", "COPY chunk TO '/tmp/x'",
)  # fmt: skip
LONG = (
    "a" * 2000, "a b " * 500, '"' * 2000, "('" * 1000, "%_" * 1000, "\\" * 2000, "😀" * 1000, "camelCase" * 222,
    "a_" * 1000, "1" * 2000, '"' + "x" * 1998 + '"', '"a" ' * 500, "\u0301" * 2000, "é" * 2000, "w1 w2 " * 333,
    " ".join(f"word{n}" for n in range(222)),
)  # fmt: skip


def hostile_queries(count: int = 500) -> list[str]:
    """Each alone, in quotes and beside a real word; then seeded mixtures of several."""
    random_ = random.Random(26)
    quoted = (f'"{one}"'[:2000] for one in SYNTAX)
    beside = (f"relay {one}" for one in SYNTAX)
    mixtures = (" ".join(random_.sample(SYNTAX, 4))[:2000] for _ in itertools.count())
    distinct: dict[str, None] = {}
    for query in itertools.chain(SYNTAX, LONG, quoted, beside, mixtures):
        distinct[query] = None
        if len(distinct) == count:
            break
    return list(distinct)

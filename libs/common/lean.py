"""Left out of a service's process: what our libraries load for terminals and instruments that it does not have.

Imported first, by `__main__` alone. Each name is optional where it is imported, and is a part of every start.
"""

import sys

UNUSED = (
    "rich",  # structlog: exceptions in colour
    "httpx._main",  # a command line
    "opentelemetry.sdk.metrics",  # redis: its own figures, which nobody here reads
    "psutil",  # opentelemetry: facts about the machine
)

sys.modules.update(dict.fromkeys(UNUSED))  # type: ignore[arg-type]  # None there is an ImportError, as for a package that is not installed

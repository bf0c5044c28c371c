"""Four tiny services for tests of the stack itself: they answer, and fail on demand."""

from pathlib import Path

from libs.local.state import SERVICES

PROGRAM = """
import http.server, os, pathlib, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{os.getpid()} {self.path}".encode())

if sys.argv[1] == "migrate":
    if pathlib.Path("refuse-to-migrate").exists():
        sys.exit("relation of yesterday is missing")
    sys.exit(0 if os.environ["OWNER_DATABASE_URL"] else 1)
address = os.environ["HTTP_HOST"], int(os.environ["HTTP_PORT"])
http.server.ThreadingHTTPServer(address, Answer).serve_forever()
"""


def write_checkout(root: Path) -> None:
    """A checkout whose `python -m services.<name>` is a dummy, and whose route table leads to them."""
    for name in SERVICES:
        package = root / "services" / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(PROGRAM)
    (root / "services" / "__init__.py").touch()  # a regular package: it hides the real services
    table = root / "deploy" / "gateway"
    table.mkdir(parents=True)
    (table / "routes.json").write_text('[{"pattern": "/v1/sources/{id}", "service": "sync"}]')

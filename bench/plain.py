"""Stand-in upstream for machines without nginx: the same URLs from Python's own file server.

Good enough for the cases that measure against sha256sum or uv; far too slow to be
compared with. Run as a script: plain.py PORT DATA HITS.
"""

import functools
import sys
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

JSON = "application/vnd.pypi.simple.v1+json"
_COUNTED = "bench_huge"


class Handler(SimpleHTTPRequestHandler):
    """Files of DATA; folders are answered with their page."""

    protocol_version = "HTTP/1.1"
    hits = Path("hits.log")

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Choose the page by Accept; everything else is the parent's."""
        if self.path.endswith("/"):
            self.path += "index.json" if JSON in self.headers.get("Accept", "") else "index.html"
        return super().send_head()

    def guess_type(self, path: object) -> str:
        """The content types nginx is told."""
        kind = {".json": JSON, ".html": "text/html"}
        return kind.get(Path(str(path)).suffix, "application/octet-stream")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Count what nginx counts."""
        if _COUNTED in self.path and self.path.endswith(".whl"):
            status = code.value if isinstance(code, HTTPStatus) else code
            with self.hits.open("a") as file:
                file.write(f"{self.command} {status} {size}\n")


def main(port: str, data: str, hits: str) -> None:
    """Serve until ended."""
    Handler.hits = Path(hits)
    handler = functools.partial(Handler, directory=data)
    ThreadingHTTPServer(("127.0.0.1", int(port)), handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

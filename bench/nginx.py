"""nginx in two parts: the upstream of the mirror, and the file server whose speed is the measure.

The second serves answers that were saved from the server under test, so that both
send the same bytes. One worker; no log but for the huge wheel, whose requests are counted.
"""

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

from bench import load, programs
from bench.load import Answer
from bench.ports import free_port
from bench.processes import Processes, run, wait_until
from bench.upstream import HUGE_WHEEL, SMALL, Site

_CONFIG = """
worker_processes 1;
daemon off;
pid nginx.pid;
error_log error.log warn;
{user}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  log_format counted '$request_method $status $body_bytes_sent $http_range';
  sendfile on;
  tcp_nopush on;
  etag on;
  keepalive_timeout 300;
  keepalive_requests 1000000000;
  absolute_redirect off;
  gzip_vary on;
  default_type application/octet-stream;
  client_body_temp_path temp;
  proxy_temp_path temp;
  fastcgi_temp_path temp;
  uwsgi_temp_path temp;
  scgi_temp_path temp;
  types {{
    application/vnd.pypi.simple.v1+json json;
    text/html html;
  }}
  map $http_accept $page {{
    default index.html;
    "~application/vnd\\.pypi\\.simple\\.v1\\+json" index.json;
  }}
  server {{
    listen 127.0.0.1:{upstream};
    root "{data}";
    location /simple/ {{
      index $page;
      gzip_static on;
      add_header Vary Accept;
      add_header Cache-Control "max-age=600, public";
    }}
    location /files/ {{ add_header Cache-Control "max-age=365000000, immutable, public"; }}
    location = /files/{huge} {{ access_log hits.log counted; }}
  }}
  server {{
    listen 127.0.0.1:{static};
    root "{kept}";
    location / {{ gzip_static on; }}
    location ~ whl$ {{ gzip_static off; }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx(Site):
    """A running nginx: the upstream's site, and a static one with the files in `kept`."""

    static_url: str
    kept: Path
    version: str

    def keep(self, name: str, answer: Answer) -> str:
        """Serve these bytes as a static file, compressed if they were; its URL."""
        body = answer.body
        if answer.headers.get("content-encoding") == "gzip":
            (self.kept / f"{name}.gz").write_bytes(body)
            body = gzip.decompress(body)
        (self.kept / name).write_bytes(body)
        return f"{self.static_url}/{name}"

    def keep_file(self, name: str, path: Path) -> str:
        """Serve this file; its URL."""
        (self.kept / name).unlink(missing_ok=True)
        os.link(path, self.kept / name)
        return f"{self.static_url}/{name}"


def start(processes: Processes, data: Path, place: Path) -> Nginx:
    """Start it on two free ports. Raises BenchError when nginx cannot be had or does not start."""
    program = programs.find("nginx", "nginx-light")
    upstream, static, kept = free_port(), free_port(), place / "kept"
    kept.mkdir(parents=True)
    config = place / "nginx.conf"
    # As root, nginx would drop to a user who may not read the work folder.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        _CONFIG.format(user=user, upstream=upstream, static=static, data=data, kept=kept, huge=HUGE_WHEEL)
    )
    command: list[str | Path] = [program, "-p", place, "-c", config, "-e", place / "error.log"]
    run([*command, "-t"], within_s=10)
    version = run([program, "-v"], within_s=10).strip().rpartition("/")[2]
    processes.start(command, place / "out.log")
    url = f"http://127.0.0.1:{upstream}"
    page = f"{url}/simple/{SMALL}/"
    wait_until(lambda: load.answers(page), within_s=10, every_s=0.01, what="nginx's first answer")
    return Nginx(url, place / "hits.log", f"http://127.0.0.1:{static}", kept, version)

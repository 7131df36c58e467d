"""`python -m stilton.cli.health`, the image's health check, against real servers."""

import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trustme

from bench.ports import free_port
from tests.cli.test_listening import certificate, started
from tests.support.server import clean_env
from tests.support.world import make_serverdir


@pytest.fixture
def serverdir(tmp_path: Path) -> Path:
    make_serverdir(tmp_path / "server", "http://127.0.0.1:9/simple/")
    return tmp_path / "server"


def asked(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stilton.cli.health", *arguments], capture_output=True, text=True, timeout=60,
        check=False, env=clean_env(**environ),
    )  # fmt: skip


def test_it_asks_the_server_itself_and_no_proxy(serverdir: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    place = {"DEVPISERVER_HOST": "0.0.0.0", "DEVPISERVER_PORT": str(free_port())}
    with started(serverdir, env=place):
        running = asked(**place)
        behind = asked(**place, http_proxy=nobody, HTTP_PROXY=nobody, ALL_PROXY=nobody)
    stopped = asked(**place)

    assert (running.returncode, behind.returncode) == (0, 0)
    assert '"status":"ok"' in running.stdout
    assert stopped.returncode == 1
    assert stopped.stderr.startswith(f"fatal: No answer from http://0.0.0.0:{place['DEVPISERVER_PORT']} (")
    assert stopped.stderr.count("\n") == 1


def test_it_asks_where_a_file_says_that_the_server_listens(serverdir: Path, tmp_path: Path) -> None:
    file = tmp_path / "devpi-server.yml"
    file.write_text(f"devpi-server:\n  unix-socket: {tmp_path / 'it.sock'}\n")
    with started(serverdir, "-c", str(file)):
        by_flag = asked("-c", str(file))
        by_variable = asked(DEVPISERVER_CONFIGFILE=str(file))

    assert (by_flag.returncode, by_variable.returncode) == (0, 0)


def test_it_speaks_https_and_minds_no_name_in_the_certificate(serverdir: Path, tmp_path: Path) -> None:
    cert, key = certificate(trustme.CA(), tmp_path)
    place = {
        "DEVPISERVER_LISTEN": f"*:{free_port()}",
        "DEVPISERVER_TLS_CERT": str(cert),
        "DEVPISERVER_TLS_KEY": str(key),
    }
    with started(serverdir, env=place):
        done = asked(**place)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_server_that_is_not_well_is_told_with_its_words() -> None:
    class Unwell(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503, explain="the disk is full")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unwell) as unwell:
        threading.Thread(target=unwell.serve_forever, daemon=True).start()
        done = asked(DEVPISERVER_HOST="127.0.0.1", DEVPISERVER_PORT=str(unwell.server_port))
        unwell.shutdown()

    assert done.returncode == 1
    assert f"127.0.0.1:{unwell.server_port} answers 503" in done.stderr
    assert "the disk is full" in done.stderr


def test_a_setting_that_cannot_be_is_named() -> None:
    done = asked(DEVPISERVER_PORT="many")

    assert done.returncode == 1
    assert "DEVPISERVER_PORT" in done.stderr

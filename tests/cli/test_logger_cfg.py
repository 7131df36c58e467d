"""`--logger-cfg`: an operator's own handlers and filters may break, and their files may be rotated; requests do not notice."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.deadline import until
from tests.support.server import BIN, Server, a_server, run
from tests.support.world import make_serverdir

MODULE = """
import logging

class Raising(logging.Handler):
    def emit(self, record):
        raise RuntimeError("this handler is\\nbroken")

class Unmakeable(logging.Handler):
    def __init__(self):
        raise LookupError("no such thing")

class Filter(logging.Filter):
    def filter(self, record):
        raise RuntimeError("this filter is broken")
"""
STREAM = {"class": "logging.StreamHandler"}


@pytest.fixture
def serverdir(tmp_path: Path) -> Path:
    make_serverdir(tmp_path / "server", "http://127.0.0.1:9/simple/")
    (tmp_path / "handlers_of_ours.py").write_text(MODULE)
    return tmp_path / "server"


def written(folder: Path, handler: dict[str, Any], **more: Any) -> str:
    """The path of a configuration in which everything goes to `handler`."""
    path = folder / "logging.json"
    root = {"level": "INFO", "handlers": ["it"]}
    path.write_text(json.dumps({"version": 1, "handlers": {"it": handler}, "root": root, **more}))
    return str(path)


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        ({"class": "nowhere.Handler"}, "nowhere"),
        ({"class": "handlers_of_ours.Unmakeable"}, "no such thing"),
        ({"class": "logging.FileHandler"}, "filename"),
        ({**STREAM, "formatter": "none"}, "formatter"),
        ({**STREAM, "level": "LOUD"}, "LOUD"),
    ],
    ids=["class", "made", "arguments", "formatter", "level"],
)
def test_a_handler_that_cannot_be_made_stops_the_start(
    serverdir: Path, tmp_path: Path, handler: dict[str, Any], words: str
) -> None:
    config = written(tmp_path, handler)

    done = run("devpi-server", "--serverdir", str(serverdir), "--logger-cfg", config, env={"PYTHONPATH": str(tmp_path)})

    assert done.returncode == 1
    assert done.stderr.startswith(f"fatal: --logger-cfg is {config}: that is no configuration of Python's logging: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_file_in_a_folder_that_is_not_there_stops_the_start_with_its_name(
    serverdir: Path, tmp_path: Path
) -> None:
    logfile = tmp_path / "missing" / "server.log"
    config = written(tmp_path, {"class": "logging.FileHandler", "filename": str(logfile)})

    done = run("devpi-server", "--serverdir", str(serverdir), "--logger-cfg", config)

    assert (done.returncode, done.stderr) == (
        1,
        f"fatal: --logger-cfg is {config}: Unable to configure handler 'it': {logfile}: No such file or directory.\n",
    )


BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "handler": ({"class": "handlers_of_ours.Raising"}, {}, r"RuntimeError: this handler is\nbroken"),
    "filter": (
        {**STREAM, "filters": ["f"]},
        {"filters": {"f": {"()": "handlers_of_ours.Filter"}}},
        "RuntimeError: this filter is broken",
    ),
    "formatter": (
        {**STREAM, "formatter": "f"}, {"formatters": {"f": {"format": "%(nothing)s"}}},
        "ValueError: Formatting field not found in record: 'nothing'",
    ),
    "full disk": (
        {"class": "logging.FileHandler", "filename": "/dev/full"}, {}, "OSError: [Errno 28] No space left on device",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_a_handler_that_breaks_later_ends_no_request(serverdir: Path, tmp_path: Path, broken: str) -> None:
    handler, more, words = BROKEN[broken]
    config = written(tmp_path, handler, **more)

    with a_server(serverdir, "--logger-cfg", config, env={"PYTHONPATH": str(tmp_path)}) as server:
        made = server.send_json("PUT", "/team", {"password": "a good password"})
        seen = [server.get(path)[0] for path in ("/team", "/nothing", "/+status", "/+health")]

    assert (made[0], seen) == (201, [200, 404, 200, 200])
    # Of the main process and of the worker.
    assert server.log() == f"The log cannot be written, lines are lost: the handler it: {words}\n" * 2
    assert server.process.returncode == 0


@pytest.mark.parametrize("logger", ["stilton", "stilton.access", "stilton.accounts.users"])
def test_a_filter_of_a_logger_that_breaks_costs_its_lines_and_nothing_else(
    serverdir: Path, tmp_path: Path, logger: str
) -> None:
    loggers = {"filters": {"f": {"()": "handlers_of_ours.Filter"}}, "loggers": {logger: {"filters": ["f"]}}}
    config = written(tmp_path, {**STREAM, "formatter": "f"}, formatters={"f": {"format": "%(name)s"}}, **loggers)

    with a_server(serverdir, "--logger-cfg", config, env={"PYTHONPATH": str(tmp_path)}) as server:
        made = server.send_json("PUT", "/team", {"password": "a good password"})
        until(lambda: f"the logger {logger}:" in server.log(), "it is told")
        seen = [server.get(path)[0] for path in ("/team", "/nothing", "/+status", "/+health")]

    assert (made[0], seen) == (201, [200, 404, 200, 200])
    lost = f"The log cannot be written, lines are lost: the logger {logger}: RuntimeError: this filter is broken"
    lines = server.log().splitlines()
    assert lines.count(lost) == 1
    assert logger not in lines
    assert {"stilton", "stilton.access", "stilton.accounts.users"} - {logger} <= set(lines)
    assert server.process.returncode == 0


def test_each_that_breaks_is_told(serverdir: Path, tmp_path: Path) -> None:
    raising = {"class": "handlers_of_ours.Raising"}
    path = written(tmp_path, raising)
    document = json.loads(Path(path).read_text())
    document["handlers"]["other"] = raising
    document["root"]["handlers"] = ["it", "other"]
    Path(path).write_text(json.dumps(document))

    with a_server(serverdir, "--logger-cfg", path, env={"PYTHONPATH": str(tmp_path)}) as server:
        server.get("/nothing")

    told = [line.split(": ")[1] for line in server.log().splitlines()]
    # Of the main process and of the worker.
    assert sorted(told) == ["the handler it"] * 2 + ["the handler other"] * 2


def test_a_standard_output_that_takes_no_more_ends_no_request(serverdir: Path, tmp_path: Path) -> None:
    command = tmp_path / "devpi-server-on-a-full-disk"
    command.write_text(f'#!/bin/sh\nexec {BIN / "devpi-server"} "$@" >/dev/full\n')
    command.chmod(0o755)

    with a_server(serverdir, "--workers", "2", command=command) as server:
        made = server.send_json("PUT", "/team", {"password": "a good password"})
        until(lambda: server.log().count("The log cannot be written") >= 2, "the access log was tried")
        seen = [server.get(path)[0] for path in ("/team", "/nothing", "/+status", "/+health") * 3]

    assert (made[0], seen) == (201, [200, 404, 200, 200] * 3)
    assert "Traceback" not in server.log()


def ask(server: Server, name: str, logfile: Path, times: int = 20) -> None:
    """Requests, whose lines are in the file then."""

    def is_logged() -> bool:
        text = logfile.read_text() if logfile.exists() else ""
        return all(f"{name}={number} " in text for number in range(times))

    for number in range(times):
        server.get(f"/+api?{name}={number}")
    until(is_logged, f"{name} is logged")


@pytest.mark.parametrize("how", ["watched", "told", "truncated"])
def test_a_log_is_rotated_without_losing_a_line(serverdir: Path, tmp_path: Path, how: str) -> None:
    """As logrotate does: the file is moved, with and without a signal, or copied and cut (`copytruncate`)."""
    logfile, old = tmp_path / "own.log", tmp_path / "own.log.1"
    kind = "logging.handlers.WatchedFileHandler" if how == "watched" else "logging.FileHandler"
    config = written(tmp_path, {"class": kind, "filename": str(logfile)})

    with a_server(serverdir, "--logger-cfg", config, "--workers", "2") as server:
        ask(server, "before", logfile)
        if how == "truncated":
            old.write_bytes(logfile.read_bytes())
            logfile.write_bytes(b"")
        else:
            logfile.rename(old)
        if how == "told":
            server.process.send_signal(signal.SIGHUP)
            until(lambda: logfile.exists() and "SIGHUP: done" in logfile.read_text(), "workers are replaced")
        ask(server, "after", logfile)

    assert "after=" not in old.read_text()
    assert "before=" not in logfile.read_text()
    assert "\0" not in logfile.read_text()
    assert "stopped" in logfile.read_text()
    assert server.log() == ""

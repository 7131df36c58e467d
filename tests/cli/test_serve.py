"""`devpi-server`: starting, being told what to do, stopping."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.support.builders import a_wheel
from tests.support.deadline import until
from tests.support.server import BIN, Server, a_server, clean_env, run
from tests.support.upstream import Body, Drip, Status, Threaded
from tests.support.world import make_serverdir

NOWHERE = "http://127.0.0.1:9/simple/"
JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def serverdir(tmp_path: Path) -> Path:
    """A server's folder whose upstream does not answer."""
    make_serverdir(tmp_path / "server", NOWHERE)
    return tmp_path / "server"


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's folder for starts that are refused before they touch it."""
    folder = tmp_path_factory.mktemp("refusing") / "server"
    make_serverdir(folder, NOWHERE)
    return folder


def refused_start(*arguments: str, env: dict[str, str] | None = None) -> str:
    """What `devpi-server` says when it does not start."""
    done = run("devpi-server", *arguments, env=env, timeout=20)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert done.stderr.startswith("fatal: ")
    assert "Traceback" not in done.stderr + done.stdout
    return done.stderr


def status(server: Server) -> dict[str, object]:
    result: dict[str, object] = json.loads(server.get("/+status", Accept="application/json")[2])["result"]
    return result


# -- starting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["devpi-server", "devpi-init"])
def test_version_is_the_bare_number(command: str) -> None:
    done = run(command, "--version")

    assert (done.returncode, done.stdout, done.stderr) == (0, "7.0.0\n", "")


@pytest.mark.parametrize(("command", "flag"), [("devpi-server", "-h"), ("devpi-init", "--help")])
def test_help_lists_the_options(command: str, flag: str) -> None:
    done = run(command, flag)

    assert done.returncode == 0
    assert "--serverdir" in done.stdout
    assert "--root-passwd" in done.stdout


def test_a_folder_without_data_is_refused_with_a_hint_and_stays_empty(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()

    said = refused_start("--serverdir", str(tmp_path / "volume"))

    assert f"The path '{tmp_path / 'volume'}' contains no devpi-server data, use devpi-init to initialize." in said
    assert "is the volume mounted?" in said
    assert "--init" in said
    assert list((tmp_path / "volume").iterdir()) == []


def test_a_folder_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    said = refused_start("--serverdir", str(tmp_path / "nowhere"))

    assert "contains no devpi-server data" in said
    assert list(tmp_path.iterdir()) == []


def test_init_makes_the_data_on_the_way_and_only_once(tmp_path: Path) -> None:
    with a_server(tmp_path / "server", "--init", "--mirror-url", NOWHERE) as server:
        uuid = status(server)["uuid"]
        log = server.log()
    with a_server(tmp_path / "server", "--init", "--mirror-url", NOWHERE) as server:
        again = status(server)["uuid"]
        second_log = server.log()

    assert again == uuid
    assert f"generated uuid: {uuid}" in log
    assert "created root/pypi index" in log
    assert "generated uuid" not in second_log


def test_init_on_the_way_makes_anew_what_was_interrupted(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    make_serverdir(serverdir, NOWHERE)
    (serverdir / ".nodeinfo").unlink()
    (serverdir / ".serverversion").unlink()

    without = refused_start("--serverdir", str(serverdir))
    with a_server(serverdir, "--init", "--mirror-url", NOWHERE) as server:
        health = server.get("/+health")[0]

    assert "contains no devpi-server data" in without
    assert health == 200


def test_the_log_says_what_is_served_where(serverdir: Path) -> None:
    with a_server(serverdir) as server:
        lines = [line.partition(" INFO  ")[2] for line in server.log().splitlines()]
        uuid = status(server)["uuid"]

    assert "devpi-server version: 7.0.0" in lines
    assert f"serverdir: {serverdir}" in lines
    assert f"uuid: {uuid}" in lines
    assert f"serving at url: {server.url}" in lines
    assert "using 1 worker process(es)" in lines
    assert "Hit Ctrl-C to quit." in lines


def test_the_log_says_when_no_upstream_is_asked(serverdir: Path) -> None:
    with a_server(serverdir, "--offline-mode", "--outside-url", "https://packages.example/devpi") as server:
        log = server.log()

    assert "offline mode" in log
    assert "serving at url: https://packages.example/devpi" in log


def test_the_name_localhost_is_served_where_clients_try_first(serverdir: Path) -> None:
    with a_server(serverdir, "--host", "localhost") as server:
        assert server.get("/+health")[0] == 200


# -- refusing to start ------------------------------------------------------------------------


def test_a_port_in_use_is_refused_in_words(refusing: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        said = refused_start("--serverdir", str(refusing), "--host", "127.0.0.1", "--port", str(port))

    assert said.startswith(f"fatal: Port {port} on 127.0.0.1 cannot be used (Address already in use).")
    assert "--port" in said


def test_a_second_server_on_the_folder_is_refused_while_the_first_goes_on(serverdir: Path) -> None:
    with a_server(serverdir) as first:
        said = refused_start("--serverdir", str(serverdir), "--host", "127.0.0.1", "--port", str(free_port()))

        assert f"The folder {serverdir} is in use by process {first.process.pid}." in said
        assert first.get("/+health")[0] == 200
        assert first.get("/root/pypi", Accept="application/json")[0] == 200
    with a_server(serverdir) as again:
        assert again.get("/+health")[0] == 200


BAD_VALUES = [
    ("port", "http", "a whole number"),
    ("port", "0", "a whole number from 1 to 65535"),
    ("port", "65536", "a whole number from 1 to 65535"),
    ("workers", "many", "a whole number"),
    ("workers", "0", "a whole number from 1 to 256"),
    ("mirror-cache-expiry", "-1", "seconds, from 0 to"),
    ("mirror-cache-expiry", "soon", "seconds, from 0 to"),
    ("request-timeout", "nan", "seconds, from 0 to"),
    ("request-timeout", "inf", "seconds, from 0 to"),
    ("role", "emperor", "standalone or auto"),
    ("outside-url", "packages.example", "http://"),
    ("trusted-proxy", "proxy.example", "address"),
]


@pytest.mark.parametrize(("name", "value", "takes"), BAD_VALUES)
def test_a_bad_option_is_refused_by_name_value_and_what_it_takes(
    refusing: Path, name: str, value: str, takes: str
) -> None:
    said = refused_start("--serverdir", str(refusing), f"--{name}", value)

    assert f"--{name} is " in said
    assert value in said
    assert takes in said


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("DEVPISERVER_PORT", "http", "a whole number from 1 to 65535"),
        ("DEVPISERVER_OFFLINE_MODE", "perhaps", "yes or no"),
        ("DEVPISERVER_MIRROR_CACHE_EXPIRY", "-5", "seconds, from 0 to 3155760000"),
    ],
)
def test_a_bad_environment_variable_is_refused_by_its_name(refusing: Path, name: str, value: str, takes: str) -> None:
    said = refused_start("--serverdir", str(refusing), env={name: value})

    assert said == f"fatal: {name} is {value!r}: it takes {takes}.\n"


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("workers", "two", "a whole number from 1 to 256"),
        ("read-ahead", "2", "yes or no"),
        ("request-timeout", "later", "seconds, from 0 to 86400"),
    ],
)
def test_a_bad_value_in_the_configuration_file_is_refused_by_name_and_file(
    refusing: Path, tmp_path: Path, name: str, value: str, takes: str
) -> None:
    file = tmp_path / "server.yml"
    file.write_text(f"devpi-server:\n  {name}: {value}\n")

    said = refused_start("--serverdir", str(refusing), "-c", str(file))

    assert said == f"fatal: {name} in {file} is {value!r}: it takes {takes}.\n"


@pytest.mark.parametrize(
    "text", ["- devpi-server", "devpi-server: [port, 80]", "devpi-server: 80", "devpi-server: {port: 80", "\t:"]
)
def test_a_configuration_file_of_another_shape_is_refused_by_name(refusing: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "server.yml"
    file.write_text(text)

    said = refused_start("--serverdir", str(refusing), "-c", str(file))

    assert f"Error in config file {str(file)!r}" in said


def test_a_configuration_file_that_is_not_there_is_refused_by_name(refusing: Path, tmp_path: Path) -> None:
    said = refused_start("--serverdir", str(refusing), "-c", str(tmp_path / "server.yml"))

    assert f"The configuration file '{tmp_path / 'server.yml'}' cannot be read: No such file or directory." in said


def test_a_misspelled_option_in_the_configuration_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "server.yml"
    file.write_text("devpi-server:\n  prot: 80\n")

    done = run("devpi-init", "-c", str(file), "--serverdir", str(tmp_path / "server"), "--mirror-url", NOWHERE)

    assert done.stderr == f"fatal: Unknown devpi-server option 'prot' in {file}, line 2. Did you mean port?\n"


def test_an_unknown_option_is_refused_by_name() -> None:
    done = run("devpi-server", "--prot", "80")

    assert done.returncode == 2
    assert "--prot" in done.stderr


def test_a_host_without_an_address_is_refused_by_name(refusing: Path) -> None:
    said = refused_start("--serverdir", str(refusing), "--host", "no such host")

    assert "--host is 'no such host': no address has that name" in said


# -- where values come from ---------------------------------------------------------------------


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(serverdir: Path, tmp_path: Path) -> None:
    file = tmp_path / "server.yml"
    urls = {kind: f"https://{kind}.example" for kind in ("file", "variable", "flag")}
    file.write_text(f"other: [1]\ndevpi-server:\n  outside-url: {urls['file']}\n")
    variable = {"DEVPISERVER_OUTSIDE_URL": urls["variable"]}
    configfile = ("-c", str(file))

    found = []
    for arguments, env in (
        ((), {}),
        (configfile, {}),
        (configfile, {"DEVPISERVER_OUTSIDE_URL": ""}),
        (configfile, variable),
        ((*configfile, "--outside-url", urls["flag"]), variable),
    ):
        with a_server(serverdir, *arguments, env=env) as server:
            found.append(status(server)["outside-url"])

    assert found == [None, urls["file"], urls["file"], urls["variable"], urls["flag"]]


def test_the_usual_configuration_file_is_read_without_being_named(serverdir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "xdg" / "devpi-server"
    folder.mkdir(parents=True)
    (folder / "devpi-server.yml").write_text("devpi-server:\n  offline-mode: YES\n")

    with a_server(serverdir, env={"XDG_CONFIG_HOME": str(tmp_path / "xdg")}) as server:
        assert "offline mode" in server.log()


def test_the_old_name_of_the_folders_variable_is_understood(tmp_path: Path) -> None:
    done = run("devpi-init", "--mirror-url", NOWHERE, env={"DEVPI_SERVERDIR": str(tmp_path / "old")})

    assert done.returncode == 0
    assert (tmp_path / "old" / ".serverversion").is_file()


# -- stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_signal_ends_it_with_code_0(serverdir: Path, sent: signal.Signals, workers: str) -> None:
    with a_server(serverdir, "--workers", workers) as server:
        pids = server.workers()
        server.process.send_signal(sent)

        assert server.process.wait(20) == 0
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "all workers are gone")
        assert "Traceback" not in server.log()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_running_transfer_is_finished_before_it_ends(tmp_path: Path, sent: signal.Signals) -> None:
    threaded = Threaded()
    wheel = a_wheel(payload=os.urandom(2 << 20))
    rest = asyncio.Event()
    with threaded as upstream:
        upstream.add("pkg", wheel)
        upstream.faults[f"/files/{wheel.filename}"] = Drip(1 << 20, rest)
        make_serverdir(tmp_path / "server", upstream.url)

        with a_server(tmp_path / "server") as server:
            server.get("/root/pypi/+simple/pkg/")
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.request("GET", f"/root/pypi/{wheel.path}")
            response = connection.getresponse()
            body = response.read(1000)
            server.process.send_signal(sent)
            until(lambda: not accepts(server.port), "new clients are turned away")
            threaded.call(set_event(rest))
            body += response.read()
            connection.close()
            code = server.process.wait(20)

    assert body == wheel.content
    assert code == 0


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


async def set_event(event: asyncio.Event) -> None:
    event.set()


# -- the log ------------------------------------------------------------------------------------


def test_each_request_is_logged_with_its_path_and_status(tmp_path: Path) -> None:
    wheel = a_wheel("idna", "3.2")
    with Threaded() as upstream:
        upstream.add("idna", wheel)
        make_serverdir(tmp_path / "server", upstream.url)
        with a_server(tmp_path / "server") as server:
            server.get("/root/pypi/+simple/idna/")
            server.get(f"/root/pypi/{wheel.path}")
            server.get("/root/pypi/+simple/nothing/")

            until(lambda: "GET /root/pypi/+simple/nothing/ 404" in server.log(), "the last request is logged")

    assert re.search(r" INFO  \[\w+\] GET /root/pypi/\+simple/idna/ 200 \d+ B ", server.log())
    assert re.search(
        rf" INFO  \[\w+\] GET /root/pypi/{re.escape(wheel.path)} 200 {len(wheel.content)} B ", server.log()
    )


def test_a_path_cannot_forge_lines_of_the_log(serverdir: Path) -> None:
    with a_server(serverdir) as server:
        server.get("/root/pypi/%0A2026-01-01%20INFO%20%20forged%1b[31m/")
        server.get("/the-end")

        until(lambda: "GET /the-end 404" in server.log(), "the last request is logged")

    assert not any(line.startswith("2026-01-01") for line in server.log().splitlines())
    assert "\x1b" not in server.log()


def test_the_access_log_can_be_turned_off(serverdir: Path) -> None:
    with a_server(serverdir, "--no-access-log") as server:
        server.get("/root/pypi/+simple/")
    # It has ended: nothing is left to be written.

    assert "GET /" not in server.log()


@pytest.fixture
def with_credentials(tmp_path: Path) -> Iterator[tuple[Threaded, Path]]:
    """An upstream that wants a password, and a folder whose mirror_url has it."""
    threaded = Threaded()
    with threaded as upstream:
        upstream.users = {"mirror-user": "mirror-secret"}
        url = upstream.url.replace("//", "//mirror-user:mirror-secret@")
        done = run("devpi-init", "--serverdir", str(tmp_path / "server"), "--mirror-url", url)
        assert "mirror-secret" not in done.stdout + done.stderr
        yield threaded, tmp_path / "server"


def test_credentials_of_an_upstream_are_used_and_never_shown(with_credentials: tuple[Threaded, Path]) -> None:
    threaded, serverdir = with_credentials
    upstream = threaded.upstream
    good, wrong, gone = a_wheel("good"), a_wheel("wrong"), a_wheel("gone")
    for name, wheel in (("good", good), ("wrong", wrong), ("gone", gone)):
        upstream.add(name, wheel)
    upstream.faults = {
        f"/files/{wrong.filename}": Body(b"other bytes"),
        f"/files/{gone.filename}": Status(404),
        "/simple/refused/": Status(403),
        "/simple/failing/": Status(500),
        "/simple/page/": Body(b"<html>login</html>", "image/png"),
    }
    answers: list[tuple[int, dict[str, str], bytes]] = []

    with a_server(serverdir, "--debug", "--request-timeout", "1", "--mirror-cache-expiry", "0") as server:

        def ask(path: str, accept: str = "*/*") -> int:
            try:
                answers.append(server.get(path, Accept=accept))
            except http.client.IncompleteRead:
                return 0
            return answers[-1][0]

        page = ask("/root/pypi/+simple/good/", JSON)
        file = ask(f"/root/pypi/{good.path}")
        ask("/root/pypi/+simple/wrong/")
        ask("/root/pypi/+simple/gone/")
        ask(f"/root/pypi/{wrong.path}")
        ask(f"/root/pypi/{gone.path}")
        for name in ("refused", "failing", "page", "missing"):
            for accept in ("*/*", "application/json", JSON):
                ask(f"/root/pypi/+simple/{name}/", accept)
        threaded.call(upstream.stop())
        for name in ("good", "never-seen"):
            ask(f"/root/pypi/+simple/{name}/", JSON)
        for path in ("/", "/root", "/root/pypi", "/root/pypi/good", "/+api", "/root/pypi/+api", "/+status"):
            ask(path, "application/json")
        for path in ("/+metrics", "/+health", "/root/pypi/+simple/"):
            ask(path)
        assert status(server)["upstreams"]

    assert (page, file) == (200, 200)
    assert upstream.count("/simple/good/") >= 1
    for secret in ("mirror-secret", "bWlycm9yLXVzZXI6bWlycm9yLXNlY3JldA"):
        assert secret not in server.log()
        assert not any(secret in str(answer) for answer in answers)


def test_two_starts_at_once_make_one_server(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    make_serverdir(serverdir, NOWHERE)
    ends: list[subprocess.CompletedProcess[str]] = []

    def start() -> None:
        arguments = ("--serverdir", str(serverdir), "--host", "127.0.0.1", "--port", str(free_port()))
        process = subprocess.Popen(
            [BIN / "devpi-server", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=clean_env(),
        )  # fmt: skip
        running.append(process)
        out, err = process.communicate(timeout=30)
        ends.append(subprocess.CompletedProcess(arguments, process.returncode, out, err))

    running: list[subprocess.Popen[str]] = []
    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(ends) == 3, "three of four starts are refused")
    for process in running:
        if process.poll() is None:
            process.terminate()
    for thread in threads:
        thread.join(20)

    assert sorted(end.returncode for end in ends) == [0, 1, 1, 1]
    assert all("is in use by process" in end.stderr for end in ends if end.returncode == 1)

"""`devpi refresh`: whether upstream was asked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.support.builders import a_wheel
from tests.support.devpi import ROOT, Client, Yard
from tests.support.server import a_server, run
from tests.support.upstream import FakeUpstream, Threaded


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Client]:
    """Root of a server that asks nobody, with an index `dev` over its mirror in use; `upstream` would answer."""
    with Threaded() as upstream:
        upstream.add("dep", a_wheel("dep", "1.0"))
        folder = tmp_path / "server"
        made = run("devpi-init", "--serverdir", str(folder), "--mirror-url", upstream.url, "--root-passwd", ROOT)
        assert made.returncode == 0, made.stderr
        with a_server(folder, "--offline-mode") as server:
            yield _client(Client(server, upstream, tmp_path))


def _client(client: Client) -> Client:
    client.follow(f"""
        $ devpi use SERVER
        $ devpi login root --password '{ROOT}'
        $ devpi index -c dev bases=root/pypi
        $ devpi use root/dev
    """)
    return client


def asked(upstream: FakeUpstream) -> list[str]:
    return [path for _, path, _ in upstream.seen]


def test_in_offline_mode_nobody_is_asked_and_that_is_said(offline: Client) -> None:
    offline.follow("""
        $ devpi refresh dep other
        Couldn't refresh dep via SERVER/root/dev/+simple/dep/refresh: offline mode
        Couldn't refresh other via SERVER/root/dev/+simple/other/refresh: offline mode
        What is held stays as it is. See how mirrors are: devpi status
        [1]
        $ devpi refresh --index root/pypi dep
        Couldn't refresh dep via SERVER/root/pypi/+simple/dep/refresh: …offline mode…
        [1]
    """)

    assert asked(offline.upstream) == []


def test_an_upstream_that_is_known_not_to_answer_is_told(devpi: Client, yard: Yard) -> None:
    yard.send("PUT", "/root/away", {"type": "mirror", "mirror_url": f"http://127.0.0.1:{free_port()}/simple/"})
    devpi.lines("devpi index -c far bases=root/away")
    devpi.run("devpi refresh --index far one two three")  # the circuit opens

    status, lines = devpi.run("devpi refresh --index far dep --json")
    said = json.loads("\n".join(lines[lines.index("{") :]))

    assert status == 1
    assert said["refreshed"] == []
    assert "Cannot connect to host" in said["failed"]["dep"]


def test_in_offline_mode_a_private_name_is_told_in_the_same_words(offline: Client) -> None:
    offline.has(a_wheel("secret", "1.0"))
    offline.lines("devpi upload --from-dir dist")
    offline.lines("devpi index -c other bases=root/pypi")

    status, lines = offline.run("devpi refresh --index root/other secret public --json")
    said = json.loads("\n".join(lines[lines.index("{") :]))

    assert status == 1
    assert said["failed"] == {"secret": "offline mode", "public": "offline mode"}


def test_one_mirror_that_answers_is_enough(devpi: Client, yard: Yard) -> None:
    yard.send("PUT", "/root/lost", {"type": "mirror", "mirror_url": f"http://127.0.0.1:{free_port()}/simple/"})
    devpi.lines("devpi index -c both bases=root/lost,root/pypi")

    devpi.follow("$ devpi refresh --index both dep\nRefreshed dep")

"""The image for real, where podman or docker is: built, run without rights, installed through, stopped, started again.

Nothing is asked for but the locked packages: the base image is made of what this machine has installed
(`tests.support.baseimage`). What is built is removed again.
"""

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.compat.conftest import installed
from tests.support import engine as engines
from tests.support.builders import a_wheel
from tests.support.deadline import until
from tests.support.engine import IMAGE, Engine, NoEngine
from tests.support.server import clean_env
from tests.support.upstream import FakeUpstream, Threaded

ROOT = Path(__file__).parents[2]
# As docs/guide/service.md has it; the network is this machine's, for an upstream that is here.
RIGHTS = (
    "--init",
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=host",
)
STOP_WITHIN_S = 40


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that has the image."""
    try:
        found = engines.found()
    except NoEngine as why:
        pytest.skip(f"no container engine: {why}")
    try:
        base = engines.base_for(found, tmp_path_factory.mktemp("base") / "context")
        built = found.build(IMAGE, ROOT, f"--build-arg=PYTHON={base}")
        assert built.returncode == 0, built.stderr[-3000:]
        yield engines.that_runs(found, IMAGE)
    except NoEngine as why:
        pytest.skip(f"no container here: {why}")
    finally:
        found.remove(IMAGE, engines.BASE)


@dataclass
class Container:
    """A server in a container, on a volume of its own."""

    engine: Engine
    name: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def is_healthy(self) -> bool:
        return self.engine.call("exec", self.name, "python", "-m", "stilton.cli.health").returncode == 0

    def state(self, what: str) -> str:
        return self.engine.done("inspect", "--format", f"{{{{.State.{what}}}}}", self.name)

    def log(self) -> str:
        told = self.engine.call("logs", self.name)
        return told.stdout + told.stderr

    def inside(self, *words: str) -> str:
        return self.engine.done("exec", self.name, *words)

    def ready(self) -> None:
        until(lambda: self.is_healthy() or self.state("Status") == "exited", "the container's health", within_s=60)
        assert self.state("Status") == "running", self.log()

    def stop(self) -> None:
        self.engine.done("stop", f"--time={STOP_WITHIN_S}", self.name, within_s=STOP_WITHIN_S + 20)


@contextlib.contextmanager
def a_container(engine: Engine, *options: str, arguments: tuple[str, ...] = ()) -> Iterator[Container]:
    name, port = f"stilton-test-{uuid.uuid4().hex[:12]}", free_port()
    place = (f"--env=DEVPISERVER_PORT={port}", "--env=DEVPISERVER_HOST=127.0.0.1", f"--volume={name}:/data")
    try:
        engine.run("--detach", f"--name={name}", *RIGHTS, *place, *options, IMAGE, *arguments)
        yield Container(engine, name, port)
    finally:
        engine.call("rm", "--force", "--volumes", name, within_s=STOP_WITHIN_S)
        engine.call("volume", "rm", "--force", name)


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with Threaded() as upstream:
        upstream.add("pkg", a_wheel("pkg", "1.0"))
        yield upstream


@pytest.fixture
def container(engine: Engine, upstream: FakeUpstream) -> Iterator[Container]:
    with a_container(engine, f"--env=DEVPISERVER_MIRROR_URL={upstream.url}") as made:
        made.ready()
        yield made


def install(container: Container, target: Path) -> dict[str, str]:
    """pip install through the container: what came of it."""
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--no-cache-dir", "--no-deps", "--quiet", "--target", target,
            "--index-url", f"{container.url}root/pypi/+simple/", "pkg",
        ],
        check=True, timeout=60, env=clean_env(),
    )  # fmt: skip
    return installed(target)


def test_the_server_serves_without_any_right_and_writes_to_its_volume_only(
    container: Container, tmp_path: Path
) -> None:
    assert install(container, tmp_path / "site") == {"pkg": "1.0"}
    assert container.inside("id", "-u") == "3141"
    assert "CapEff:\t0000000000000000" in container.inside("cat", "/proc/1/status")
    for place in ("/", "/etc", "/opt/stilton"):
        assert container.engine.call("exec", container.name, "sh", "-c", f": > {place}/new").returncode != 0
    assert container.inside("ls", "/data") == "server"


def test_it_stops_when_told_and_goes_on_where_it_was(
    container: Container, upstream: FakeUpstream, tmp_path: Path
) -> None:
    install(container, tmp_path / "before")
    container.stop()
    ended = container.state("ExitCode"), container.log().count("INFO  stopped")
    upstream.projects.clear()
    container.engine.done("start", container.name)
    container.ready()

    assert ended == ("0", 1)
    assert install(container, tmp_path / "after") == {"pkg": "1.0"}


def test_a_hangup_reaches_the_server_through_the_first_process(container: Container) -> None:
    container.engine.done("kill", "--signal=HUP", container.name)

    until(lambda: "SIGHUP: done" in container.log(), "workers are replaced")
    assert container.is_healthy()


def test_logins_outlive_a_restart_with_a_secret_made_by_the_image(engine: Engine) -> None:
    with a_container(engine, "--entrypoint=devpi-gen-secret", arguments=("--secretfile", "/data/secret")) as made:
        until(lambda: made.state("Status") == "exited", "the secret is written")
        again = [*RIGHTS, "--rm", f"--volume={made.name}:/data", "--env=DEVPISERVER_SECRETFILE=/data/secret"]
        told = engine.run(*again, "--entrypoint=ls", IMAGE, "-l", "/data/secret")
        settings = engine.run(*again, IMAGE, "--init", "--print-config")

    assert told.startswith("-rw-------")
    assert "/data/secret  (DEVPISERVER_SECRETFILE)" in settings


def test_a_folder_that_is_not_the_users_is_refused_with_a_word(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "roots"
    folder.mkdir(mode=0o755)
    arguments = [*engine.running, *RIGHTS, "--rm", f"--volume={folder}:/data:Z", IMAGE]

    told = engine.call("run", *arguments)

    assert told.returncode == 1
    assert "The folder /data/server cannot be written: Permission denied. Is this the user" in told.stderr
    assert list(folder.iterdir()) == []


def test_pip_and_what_builds_our_wheel_are_not_in_the_image(engine: Engine) -> None:
    listing = engine.run("--rm", "--network=host", "--entrypoint=python", IMAGE, "-c", LIST)

    names = set(listing.split())
    assert {"stilton", "granian", "aiohttp"} <= names
    assert not names & {"pip", "hatchling", "pathspec", "trove_classifiers"}


LIST = "import os, sysconfig; print(*os.listdir(sysconfig.get_path('purelib')))"

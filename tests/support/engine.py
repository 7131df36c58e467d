"""A container engine of this machine, and the options with which it runs containers here.

STILTON_CONTAINER_ENGINE names another one than the first that answers, STILTON_CONTAINER_BASE another base image than
the one made of this machine (`baseimage`).
"""

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import baseimage

BASE, IMAGE = "stilton-test-base", "stilton-test"
ANSWERS_WITHIN_S = 30.0
BUILDS_WITHIN_S = 600.0
LIMITS = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=1024:1024")
"""Podman raises limits, which not every root may."""


class NoEngine(Exception):
    """Why containers cannot be built or run here, in words."""


@dataclass(frozen=True)
class Engine:
    """`command`: the program and its own options; `running`: options of each `run`."""

    command: tuple[str, ...]
    running: tuple[str, ...] = ()

    @property
    def is_podman(self) -> bool:
        return Path(self.command[0]).name == "podman"

    def call(self, *arguments: str, within_s: float = ANSWERS_WITHIN_S) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments], capture_output=True, text=True, timeout=within_s, check=False
        )

    def done(self, *arguments: str, within_s: float = ANSWERS_WITHIN_S) -> str:
        """What it printed. It has to come off."""
        ended = self.call(*arguments, within_s=within_s)
        assert ended.returncode == 0, f"{' '.join(arguments)}: {ended.stderr[-3000:]}"
        return ended.stdout.strip()

    def run(self, *arguments: str) -> str:
        return self.done("run", *self.running, *arguments)

    def build(self, tag: str, context: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Podman: the form that holds a health check; no image of each step stays behind; as little isolation as goes.
        own = ("--format=docker", "--layers=false", "--isolation=chroot") if self.is_podman else ("--network=host",)
        recipe = str(context / "Containerfile")
        return self.call(
            "build", *own, *arguments, "-f", recipe, "-t", tag, str(context), within_s=BUILDS_WITHIN_S
        )  # fmt: skip

    def remove(self, *images: str) -> None:
        for image in images:
            self.call("rmi", "--force", image)


def found() -> Engine:
    """The one named, or the first that is installed and answers. Raises NoEngine."""
    named = os.environ.get("STILTON_CONTAINER_ENGINE")
    silent = []
    for name in [named] if named else ["podman", "docker"]:
        path = shutil.which(name)
        why = "is not installed" if path is None else _silence(Engine((path,)))
        if path is not None and why is None:
            return Engine((path,))
        silent.append(f"{name} {why}")
    raise NoEngine(", ".join(silent))


def base_for(engine: Engine, folder: Path) -> str:
    """The image to build on. Raises NoEngine when it has to be made and cannot be."""
    named = os.environ.get("STILTON_CONTAINER_BASE")
    if named is None:
        lacking = baseimage.lacking()
        if lacking:
            raise NoEngine(f"no {', '.join(lacking)} for a base image; STILTON_CONTAINER_BASE names one")
        baseimage.write(folder)
        told = engine.build(BASE, folder)
        if told.returncode != 0:
            raise NoEngine(f"{engine.command[0]} builds nothing here: {_last(told.stderr)}")
    return named or BASE


def that_runs(engine: Engine, image: str) -> Engine:
    """The same engine, with the options that are needed to run containers here. Raises NoEngine."""
    said = []
    for way in _ways(engine):
        told = way.call("run", "--rm", "--network=host", *way.running, "--entrypoint=id", image)
        if told.returncode == 0:
            return way
        said.append(_last(told.stderr))
    raise NoEngine(f"{engine.command[0]} runs no container here: {'; '.join(dict.fromkeys(said))}")


def _silence(engine: Engine) -> str | None:
    """Why it is of no use; None when it answers."""
    try:
        told = engine.call("info")
    except subprocess.TimeoutExpired:
        return f"does not answer within {ANSWERS_WITHIN_S} s"
    return None if told.returncode == 0 else f"does not answer ({_last(told.stderr)})"


def _ways(engine: Engine) -> Iterator[Engine]:
    runtimes: list[Sequence[str]] = [()]
    limits: list[Sequence[str]] = [()]
    if engine.is_podman:
        runtimes += [(f"--runtime={name}",) for name in ("runc", "crun") if shutil.which(name)]
        limits.append(LIMITS)
    for runtime, limit in itertools.product(runtimes, limits):
        yield Engine((*engine.command, *runtime), tuple(limit))


def _last(stderr: str) -> str:
    return (stderr.strip().splitlines() or ["without a word"])[-1][:200]

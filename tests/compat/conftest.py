"""A little index whose wheels depend on each other, and a server in front of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builders import Dist, a_wheel
from tests.support.server import run
from tests.support.upstream import FakeUpstream, Threaded
from tests.support.world import make_serverdir

OLD = "2024-01-01T00:00:00Z"
NEW = "2026-01-01T00:00:00Z"
BETWEEN = "2025-01-01T00:00:00Z"

# What `alpha` needs, and the release of each that has to be chosen.
CHOSEN = {
    "alpha": "2.0",
    "beta": "1.5",
    "gamma": "1.0",
    "delta": "2.1",  # gamma does not want 3.0
    "epsilon": "1.0",
    "zeta-zeta": "0.9",  # 1.0 is yanked
    "eta": "1.0",
    "theta": "1.0",  # 2.0rc1 is a pre-release
}


def fill(upstream: FakeUpstream) -> dict[str, Dist]:
    """Put the wheels there; those that have to be chosen, by project."""
    wheels = [
        a_wheel("alpha", "1.0"),
        a_wheel("alpha", "2.0", requires=("beta>=1", "gamma", "Zeta.Zeta")),
        a_wheel("beta", "1.0", requires=("delta",)),
        a_wheel("beta", "1.5", requires=("delta>=2", "eta")),
        a_wheel("gamma", "1.0", requires=("delta<3", "epsilon")),
        *(a_wheel("delta", version) for version in ("1.0", "2.0", "2.1", "3.0")),
        a_wheel("epsilon", "1.0", requires=("theta; python_version >= '3'",)),
        a_wheel("zeta-zeta", "0.9", requires=("eta",)),
        a_wheel("eta", "1.0", payload=bytes(200_000)),
        a_wheel("theta", "1.0"),
        a_wheel("theta", "2.0rc1"),
    ]
    for wheel in wheels:
        upstream.add(project_of(wheel), wheel, upload_time=NEW if wheel.filename.startswith("delta-2.1") else OLD)
    upstream.add("zeta-zeta", a_wheel("zeta-zeta", "1.0"), yanked="broken", upload_time=OLD)
    return {project_of(wheel): wheel for wheel in wheels if CHOSEN[project_of(wheel)] == wheel.filename.split("-")[1]}


def project_of(wheel: Dist) -> str:
    return wheel.filename.split("-")[0].replace("_", "-")


def installed(target: Path) -> dict[str, str]:
    """What a tool put into `target`: project → version."""
    found = (folder.name.removesuffix(".dist-info").split("-") for folder in target.glob("*.dist-info"))
    return {name.replace("_", "-"): version for name, version in found}


@pytest.fixture
def threaded() -> Iterator[Threaded]:
    made = Threaded()
    with made:
        yield made


@pytest.fixture
def upstream(threaded: Threaded) -> FakeUpstream:
    return threaded.upstream


@pytest.fixture
def wheels(upstream: FakeUpstream) -> dict[str, Dist]:
    return fill(upstream)


@pytest.fixture
def serverdir(tmp_path: Path, upstream: FakeUpstream) -> Path:
    """As `devpi-init` leaves it, in a tenth of the time."""
    make_serverdir(tmp_path / "server", upstream.url)
    return tmp_path / "server"


@pytest.fixture
def from_init(tmp_path: Path, upstream: FakeUpstream) -> Path:
    """Fresh from `devpi-init`: nothing is cached."""
    done = run("devpi-init", "--serverdir", str(tmp_path / "server"), "--mirror-url", upstream.url)
    assert done.returncode == 0, done.stderr
    return tmp_path / "server"

"""`uv pip compile`: how it is asked for a target, and how its answers read. Pure."""

import sys

from packaging.utils import canonicalize_name

from stilton_client.pins import Pin
from stilton_client.targets import HERE, Target

_CPUS = {"arm64": "aarch64", "ARM64": "aarch64", "AMD64": "x86_64", "x86": "i686"}
_SYSTEMS = {
    "musllinux": "unknown-linux-musl",
    "linux": "unknown-linux-gnu",
    "macosx": "apple-darwin",
    "win": "pc-windows-msvc",
    "win32": "pc-windows-msvc",
}


def options(target: Target) -> list[str]:
    """What uv is told about a target."""
    if target.is_native:
        return ["--python", sys.executable]
    options = ["--python", sys.executable, "--only-binary", ":all:", "--python-version", target.version]
    if target.platform == HERE:
        return options
    return [*options, "--python-platform", _platform(target)]


def read(text: str) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """Pins, and what comes from no index."""
    pins, elsewhere = [], []
    for line in text.splitlines():
        name, equals, version = line.partition("==")
        if equals:
            pins.append(Pin(canonicalize_name(name.partition("[")[0].strip()), version.split()[0]))
        elif line.strip() and not line.startswith(("#", "-")):
            elsewhere.append(line.strip())
    return tuple(pins), tuple(elsewhere)


def reason(output: str) -> str:
    """What follows the arrow in uv's drawing, as one line."""
    said = output.rpartition("─▶")[2] or output
    return " ".join(said.split()) or "uv says nothing about it"


def _platform(target: Target) -> str:
    """The name that uv has for a platform; what it does not know it will say itself."""
    machine = target.environment["platform_machine"]
    cpu = _CPUS.get(machine, machine)
    first = target.platforms[0][0]
    system = first.partition("_")[0]
    return f"{cpu}-{_SYSTEMS.get(system) or first.removesuffix(f'_{cpu}')}"

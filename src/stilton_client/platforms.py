"""Names of platforms, as people say them (`linux`) or as platform tags (`manylinux_2_28_x86_64`). Pure.

A name stands for machines of several ages, and an installer takes the newest kind of wheel that its machine can
run: a name has the tags of the oldest machine and of the newest, and the wheels that either would take are wanted.

    linux-*        glibc 2.28 (as uv takes it) to 2.43
    musllinux-*    musl 1.2
    macos-*        macOS 13 to 26
"""

import re
from collections.abc import Iterator

from packaging.tags import mac_platforms

from stilton_client.errors import EXIT_USAGE, Failure

# name -> (tags of the oldest machine, of the newest), as (system, version, machine)
_NAMES = {
    "linux-x86_64": ("manylinux_2_28_x86_64", "manylinux_2_43_x86_64"),
    "linux-aarch64": ("manylinux_2_28_aarch64", "manylinux_2_43_aarch64"),
    "musllinux-x86_64": ("musllinux_1_2_x86_64",),
    "musllinux-aarch64": ("musllinux_1_2_aarch64",),
    "macos-arm64": ("macosx_13_0_arm64", "macosx_26_0_arm64"),
    "macos-x86_64": ("macosx_13_0_x86_64", "macosx_26_0_x86_64"),
    "windows-amd64": ("win_amd64",),
    "windows-arm64": ("win_arm64",),
}
_ALIASES = {
    "linux": "linux-x86_64",
    "linux-amd64": "linux-x86_64",
    "linux-arm64": "linux-aarch64",
    "musllinux": "musllinux-x86_64",
    "macos": "macos-arm64",
    "windows": "windows-amd64",
    "windows-x86_64": "windows-amd64",
}
_OLD_NAMES = {
    "manylinux2014": "manylinux_2_17",
    "manylinux2010": "manylinux_2_12",
    "manylinux1": "manylinux_2_5",
}
_RAW = re.compile(
    r"(?P<system>manylinux|musllinux|macosx)_(?P<major>\d{1,2})_(?P<minor>\d{1,2})_(?P<machine>\w+)"
    r"|(?P<linux>linux)_(?P<linux_machine>\w+)|(?P<windows>win32|win_amd64|win_arm64)"
)
_WINDOWS = {"win32": "x86", "win_amd64": "AMD64", "win_arm64": "ARM64"}


def known(name: str) -> str:
    """The one name of a platform. Raises Failure for what nobody knows."""
    plain = name.lower().replace("_", "-")
    for each in (*_ALIASES, *_NAMES):
        if plain == each.replace("_", "-"):
            return _ALIASES.get(each, each)
    old, _, machine = name.partition("_")
    raw = f"{_OLD_NAMES[old]}_{machine}" if old in _OLD_NAMES else name
    if _RAW.fullmatch(raw):
        return raw
    raise Failure(
        f"{name!r} is no platform that is known",
        f"Known are {', '.join(sorted((*_NAMES, *_ALIASES)))}, and platform tags such as manylinux_2_28_x86_64.",
        code=EXIT_USAGE,
    )


def tags(platform: str) -> tuple[tuple[str, ...], ...]:
    """Platform tags, best first: a list for each age of machine."""
    return tuple(tuple(_below(raw)) for raw in _NAMES.get(platform, (platform,)))


def markers(platform: str) -> dict[str, str]:
    """What markers ask of a platform, but for Python."""
    tag = _NAMES.get(platform, (platform,))[0]  # a machine's kind is in its tags
    found = _RAW.fullmatch(tag)
    assert found is not None
    if found["windows"]:
        return _environment("nt", "win32", "Windows", _WINDOWS[tag])
    machine = found["machine"] or found["linux_machine"]
    if found["system"] == "macosx":
        return _environment("posix", "darwin", "Darwin", machine)
    return _environment("posix", "linux", "Linux", machine)


def _environment(name: str, platform: str, system: str, machine: str) -> dict[str, str]:
    return {
        "os_name": name,
        "platform_machine": machine,
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "sys_platform": platform,
    }


def _below(raw: str) -> Iterator[str]:
    """A tag and all that run where it does, newest first."""
    found = _RAW.fullmatch(raw)
    if found is None or found["system"] is None:
        yield raw
        return
    major, minor, machine = int(found["major"]), int(found["minor"]), found["machine"]
    if found["system"] == "macosx":
        yield from mac_platforms((major, minor), machine)
        return
    former = {version: name for name, version in _OLD_NAMES.items()}
    for older in range(minor, -1, -1):
        version = f"{found['system']}_{major}_{older}"
        yield f"{version}_{machine}"
        if version in former:
            yield f"{former[version]}_{machine}"
    yield f"linux_{machine}"

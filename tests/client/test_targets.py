"""Pythons and platforms: what is installed there, and what their markers say."""

import sys

import pytest
from packaging.markers import Marker
from packaging.tags import parse_tag

from stilton_client import uvcompile
from stilton_client.errors import Failure
from stilton_client.targets import Target, native, targets


def one(python: str, platform: str) -> Target:
    (target,) = targets([python], [platform])
    return target


def best(target: Target, *tags: str) -> list[str]:
    return target.best({tag: parse_tag(tag) for tag in tags})


def test_without_a_word_it_is_what_runs_us() -> None:
    (target,) = targets([], [])
    (same,) = targets([f"{sys.version_info[0]}.{sys.version_info[1]}"], [])

    assert target == same == native()
    assert target.is_native
    assert best(target, "py3-none-any", "cp27-none-win32") == ["py3-none-any"]


def test_each_python_is_combined_with_each_platform_once() -> None:
    found = targets(["3.12", "3.13", "3.12"], ["linux", "windows", "linux_x86_64"])

    assert [str(target) for target in found] == [
        "Python 3.12 on linux-x86_64",
        "Python 3.12 on windows-amd64",
        "Python 3.13 on linux-x86_64",
        "Python 3.13 on windows-amd64",
    ]


def test_another_python_on_this_platform_is_not_the_one_that_runs_us() -> None:
    (target,) = targets(["3.8"], [])

    assert not target.is_native
    assert target.environment["sys_platform"] == sys.platform
    assert target.environment["python_version"] == "3.8"


@pytest.mark.parametrize(
    ("platform", "marker"),
    [
        ("linux", "sys_platform == 'linux' and platform_machine == 'x86_64' and os_name == 'posix'"),
        ("linux-arm64", "platform_system == 'Linux' and platform_machine == 'aarch64'"),
        ("musllinux", "platform_system == 'Linux' and platform_machine == 'x86_64'"),
        ("macos", "sys_platform == 'darwin' and platform_machine == 'arm64'"),
        ("macos-x86_64", "platform_system == 'Darwin' and platform_machine == 'x86_64'"),
        ("windows", "sys_platform == 'win32' and platform_machine == 'AMD64' and os_name == 'nt'"),
        ("win32", "platform_system == 'Windows' and platform_machine == 'x86'"),
        ("linux_armv7l", "sys_platform == 'linux' and platform_machine == 'armv7l'"),
        ("manylinux2014_ppc64le", "sys_platform == 'linux' and platform_machine == 'ppc64le'"),
    ],
)
def test_a_platform_has_its_markers(platform: str, marker: str) -> None:
    environment = one("3.12", platform).environment

    assert Marker(marker).evaluate({**environment})
    assert Marker("python_full_version >= '3.12.9' and implementation_name == 'cpython'").evaluate({**environment})


@pytest.mark.parametrize(
    ("platform", "offered", "taken"),
    [
        ("linux", ["manylinux_2_17_x86_64", "manylinux_2_28_x86_64"], ["manylinux_2_28_x86_64"]),
        ("linux", ["manylinux_2_17_x86_64", "manylinux_2_34_x86_64"], ["manylinux_2_17_x86_64", "manylinux_2_34_x86_64"]),
        ("linux", ["musllinux_1_2_x86_64", "manylinux_2_28_aarch64", "any"], ["any"]),
        ("manylinux2014_x86_64", ["manylinux_2_28_x86_64", "manylinux1_x86_64"], ["manylinux1_x86_64"]),
        ("manylinux_2_17_x86_64", ["manylinux2014_x86_64", "linux_x86_64"], ["manylinux2014_x86_64"]),
        ("musllinux", ["manylinux_2_28_x86_64", "musllinux_1_1_x86_64"], ["musllinux_1_1_x86_64"]),
        ("macos", ["macosx_11_0_arm64", "macosx_14_0_arm64"], ["macosx_11_0_arm64", "macosx_14_0_arm64"]),
        ("macos-x86_64", ["macosx_10_9_universal2", "macosx_11_0_arm64"], ["macosx_10_9_universal2"]),
        ("windows", ["win32", "win_amd64", "any"], ["win_amd64"]),
        ("windows-arm64", ["win_amd64"], []),
    ],
)  # fmt: skip
def test_the_best_wheel_for_each_age_of_machine_is_taken(platform: str, offered: list[str], taken: list[str]) -> None:
    tags = {place: f"cp312-cp312-{place}" if place != "any" else "py3-none-any" for place in offered}

    assert best(one("3.12", platform), *tags.values()) == [tags[place] for place in taken]


def test_stable_abis_of_older_pythons_fit_and_other_pythons_do_not() -> None:
    target = one("3.12", "windows")

    assert best(target, "cp38-abi3-win_amd64", "py3-none-any") == ["cp38-abi3-win_amd64"]
    assert best(target, "cp313-abi3-win_amd64", "cp311-cp311-win_amd64", "cp312-cp312t-win_amd64") == []


@pytest.mark.parametrize(
    ("requires", "suits"),
    [(None, True), ("", True), (">=3.9.2", True), ("!=3.9.0,!=3.9.1,>=3.8", True), (">=3.10", False), ("junk", True)],
)
def test_a_minor_version_means_its_newest_patch(requires: str | None, suits: bool) -> None:
    assert one("3.9", "linux").suits(requires) is suits


def test_a_patch_is_taken_by_its_word() -> None:
    assert not one("3.9.1", "linux").suits(">=3.9.2")


@pytest.mark.parametrize("python", ["2.7", "3", "3.7", "3.x", "312", "py312", ""])
def test_a_python_that_nobody_knows_is_wrong_usage(python: str) -> None:
    with pytest.raises(Failure, match="no version of Python") as caught:
        targets([python], ["linux"])

    assert caught.value.code == 2


@pytest.mark.parametrize("platform", ["bsd", "linux-sparc", "manylinux_x86_64", "win64", ""])
def test_a_platform_that_nobody_knows_is_wrong_usage_and_the_known_are_listed(platform: str) -> None:
    with pytest.raises(Failure, match="no platform") as caught:
        targets([], [platform])

    assert caught.value.code == 2
    assert "macos-arm64, macos-x86_64" in caught.value.advice


@pytest.mark.parametrize(
    ("platform", "name"),
    [
        ("linux", "x86_64-manylinux_2_28"),
        ("musllinux-aarch64", "aarch64-unknown-linux-musl"),
        ("linux_riscv64", "riscv64-unknown-linux-gnu"),
        ("macos", "aarch64-apple-darwin"),
        ("windows", "x86_64-pc-windows-msvc"),
        ("win32", "i686-pc-windows-msvc"),
    ],
)
def test_uv_has_names_of_its_own_for_platforms(platform: str, name: str) -> None:
    assert uvcompile.options(one("3.12", platform))[-2:] == ["--python-platform", name]


def test_uv_is_told_of_another_platform_only() -> None:
    assert "--python-platform" not in uvcompile.options(native())
    assert "--python-platform" not in uvcompile.options(targets(["3.8"], [])[0])


def test_what_uv_writes_is_read() -> None:
    text = "# a comment\n--index-url x\npkg[fast]==1.0 ; sys_platform == 'x'\nrepo @ git+https://x/repo\n"

    pins, elsewhere = uvcompile.read(text)

    assert [str(pin) for pin in pins] == ["pkg 1.0"]
    assert elsewhere == ("repo @ git+https://x/repo",)
    assert uvcompile.reason("  x No solution\n  ╰─▶ Because a\n      and b.\n") == "Because a and b."
    assert uvcompile.reason("") == "uv says nothing about it"

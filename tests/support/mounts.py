"""Commands of ours on disks that are full or cannot be written, in a name space of their own."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import BIN, clean_env


def mounted(folder: Path, options: str, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that sees `folder` mounted like this; skip where that is not allowed."""
    mount = f"mount {options} {folder}"
    probe = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("no name space of its own can be had here")
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh", BIN / command[0], *command[1:]],
        capture_output=True, text=True, timeout=60, check=False, env=clean_env(),
    )  # fmt: skip


def a_command(script: Path, folder: Path, options: str, command: str) -> Path:
    """A script that is `command`, and sees `folder` mounted like this; skip where that is not allowed."""
    mount = f"mount {options} {folder}"
    probe = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("no name space of its own can be had here")
    script.write_text(f'#!/bin/sh\nexec unshare -rm sh -c \'{mount} && exec {BIN / command} "$@"\' sh "$@"\n')
    script.chmod(0o755)
    return script


@contextlib.contextmanager
def turned_read_only(folder: Path, process: int) -> Iterator[None]:
    """Inside, a process begun by `a_command` can open nothing in `folder` for writing. Files that it has open are not
    concerned: the kernel refuses to make a disk read-only while there are such.
    """
    inside = ["nsenter", "-t", str(process), "-U", "-m", "--preserve-credentials", "sh", "-c"]
    subprocess.run([*inside, f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"], check=True)
    try:
        yield
    finally:
        subprocess.run([*inside, f"umount -l {folder}"], check=True)


def as_it_is(folder: Path) -> str:
    """Options for a mount that changes nothing, yet."""
    return f"--bind {folder}"


def read_only(folder: Path) -> str:
    """Options that make a folder one that cannot be written."""
    return f"--bind {folder} {folder} && mount -o remount,bind,ro"


def small_disk(size: str) -> str:
    """Options for an empty disk with room for `size`, such as 64k."""
    return f"-t tmpfs -o size={size} none"

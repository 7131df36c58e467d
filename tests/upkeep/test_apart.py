"""Where backups and restored servers may not be, and that a restore is refused before it begins."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from stilton.upkeep.vault import Vault
from tests.support.mounts import mounted, small_disk
from tests.support.server import run
from tests.support.world import START
from tests.upkeep.test_backup import ANOTHER, a_small_server, back_up, change, contents

Place = Callable[[Path], Path]


def linked(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


def blobs_elsewhere(root: Path) -> Path:
    """The server's blobs are on another disk; a folder beside them there."""
    (root / "server" / "blobs").rename(root / "large")
    (root / "server" / "blobs").symlink_to(root / "large")
    return root / "large" / "backups"


def another_server(root: Path) -> Path:
    return a_small_server(root / "other", 1) / "backups"


def everything(root: Path) -> list[str]:
    return sorted(f"{where}/{name}" for where, folders, files in os.walk(root) for name in folders + files)


@pytest.mark.parametrize(
    "where",
    [
        lambda root: root / "server",
        lambda root: root / "server" / "backups",
        lambda root: root / "server" / "not" / "yet" / "there",
        lambda root: linked(root / "link", root / "server"),
        lambda root: linked(root / "link", root / "server" / "blobs") / "backups",
        lambda root: linked(root / "link", root / "server" / "not-there"),
        lambda root: root / "elsewhere" / ".." / "server" / "backups",
        lambda root: root,
        lambda root: linked(root.parent / f"{root.name}-link", root),
        blobs_elsewhere,
        another_server,
    ],
    ids=["same", "within", "deep", "link", "link-within", "link-to-nothing", "dots", "around", "link-around", "blobs",
         "another"],
)  # fmt: skip
def test_a_backup_goes_into_no_servers_folder_and_around_none(tmp_path: Path, where: Place) -> None:
    root = tmp_path / "root"
    server = a_small_server(root / "server", 2)
    folder = where(root)
    before, named = contents(root), everything(root)

    done = run("devpi-backup", "--serverdir", str(server), str(folder))

    assert done.returncode == 1
    assert done.stderr.startswith("fatal: ")
    assert "a server's folder" in done.stderr or "keep one out of the other" in done.stderr
    assert contents(root) == before
    assert everything(root) == named


def test_a_folder_beside_the_servers_takes_backups(tmp_path: Path) -> None:
    server = a_small_server(tmp_path / "server", 2)

    done = run("devpi-backup", "--serverdir", str(server), str(tmp_path / "server-backups"))

    assert done.returncode == 0, done.stderr


def test_backups_that_are_within_a_server_from_before_can_be_restored(tmp_path: Path) -> None:
    server = a_small_server(tmp_path / "server", 2)
    back_up(server, server / "backups")

    done = run("devpi-restore", str(server / "backups"), "--serverdir", str(tmp_path / "new"))

    assert done.returncode == 0, done.stderr


# A restore is refused with nothing but the reason


@pytest.mark.parametrize("name", ["new", "snapshots/new", "link"])
def test_a_server_is_not_restored_into_the_backups(tmp_path: Path, name: str) -> None:
    backups = tmp_path / "backups"
    back_up(a_small_server(tmp_path / "server", 2), backups)
    linked(backups / "link", backups / "not-there")
    before = everything(tmp_path)

    done = run("devpi-restore", str(backups), "--serverdir", str(backups / name))

    assert (done.returncode, done.stdout) == (1, "")
    assert "which is the folder for backups" in done.stderr
    assert everything(tmp_path) == before


def test_over_data_nothing_is_announced(tmp_path: Path) -> None:
    server, backups = a_small_server(tmp_path / "server", 2), tmp_path / "backups"
    back_up(server, backups)

    done = run("devpi-restore", str(backups), "--serverdir", str(server))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"fatal: The path '{server}' already contains devpi-server data: {ANOTHER}"


def test_a_disk_that_is_too_small_is_said_first_and_stays_empty(tmp_path: Path) -> None:
    backups, target = tmp_path / "backups", tmp_path / "new"
    back_up(a_small_server(tmp_path / "server", 2, 1_000_000), backups, copy=True)
    target.mkdir()

    done = mounted(target, small_disk("1500k"), "devpi-restore", str(backups), "--serverdir", str(target))

    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(rf"fatal: The files take 2\.\d MB, the disk of {target} has 1\.5 MB free: make room", done.stderr)


def test_an_interrupted_restore_needs_room_for_the_rest_only(tmp_path: Path) -> None:
    backups, half, target = tmp_path / "backups", tmp_path / "half", tmp_path / "new"
    made = back_up(a_small_server(tmp_path / "server", 2, 1_000_000), backups, copy=True)
    blob = Vault(backups).blobs.path(next(iter(made.snapshot.digests())))
    blob.rename(tmp_path / "lost")
    stopped = run("devpi-restore", str(backups), "--serverdir", str(half))
    (tmp_path / "lost").rename(blob)
    target.mkdir()
    filled = f"{small_disk('2800k')} {target} && cp -r {half}/. {target} && true"

    done = mounted(target, filled, "devpi-restore", str(backups), "--serverdir", str(target))

    assert "1 files of" in stopped.stderr
    assert done.returncode == 0, done.stderr


def test_a_snapshot_that_cannot_be_read_is_mentioned_and_another_is_taken(tmp_path: Path) -> None:
    server, backups = a_small_server(tmp_path / "server", 2), tmp_path / "backups"
    back_up(server, backups)
    newer = back_up(server, backups, now=START + 1).snapshot.path / "manifest.json"
    newer.write_text(newer.read_text().replace("stilton-backup-1", "stilton-backup-2"))

    done = run("devpi-restore", str(backups), "--serverdir", str(tmp_path / "new"))
    named = run("devpi-restore", str(newer.parent), "--serverdir", str(tmp_path / "other"))

    assert done.returncode == 0, done.stderr
    assert f"{newer} is damaged, or a newer stilton's" in done.stderr
    assert f"{newer.parent.name} (cannot be read)" in named.stderr
    assert not (tmp_path / "other").exists()


def test_a_backup_that_was_killed_is_none_and_what_to_do_is_said(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    Vault(backups).create()
    Vault(backups).begin(START)

    done = run("devpi-restore", str(backups), "--serverdir", str(tmp_path / "new"))

    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "has no complete snapshot. There are: none; one that was interrupted counts when devpi-backup was run again"
        in done.stderr
    )
    assert not (tmp_path / "new").exists()


def test_a_snapshot_of_a_newer_program_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    server, backups = a_small_server(tmp_path / "server", 2), tmp_path / "backups"
    manifest = back_up(server, backups).snapshot.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema": "0', '"schema": "9'))

    done = run("devpi-restore", str(backups), "--serverdir", str(tmp_path / "new"))

    assert (done.returncode, done.stdout) == (1, "")
    assert "Run the newer stilton that wrote it" in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_named_incomplete_snapshot_is_refused_before_files_are_copied(tmp_path: Path) -> None:
    server, backups = a_small_server(tmp_path / "server", 2), tmp_path / "backups"
    change(server / "stilton.sqlite", f"UPDATE files SET digest = '{'0' * 64}' WHERE path = 'f0'")
    made = back_up(server, backups)

    done = run("devpi-restore", str(made.snapshot.path), "--serverdir", str(tmp_path / "new"))
    taken = run("devpi-restore", str(made.snapshot.path), "--incomplete", "--serverdir", str(tmp_path / "new"))

    assert (done.returncode, done.stdout) == (1, "")
    assert "\n  team/dev/f0\n" in done.stderr
    assert taken.returncode == 0, taken.stderr

"""Imports and exports beside other processes, killed in the middle, on disks that fill: real processes, real disks."""

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from stilton.upkeep.exports import MARKER
from tests.support.builders import Dist, a_wheel, an_sdist
from tests.support.deadline import until
from tests.support.mounts import mounted, small_disk
from tests.support.publish import BOUNDARY, a_form, basic, fields_of
from tests.support.server import BIN, Server, a_server, clean_env, run
from tests.upkeep.dumps import (
    DEV,
    WHEEL,
    ADump,
    a_file,
    a_project,
    a_stage,
    blob,
    do_import,
    files_in,
    keys_in,
    with_wheel,
)
from tests.upkeep.test_folders import names, put
from tests.upkeep.test_import import MANY, many, whole

FORM = f"multipart/form-data; boundary={BOUNDARY}"


def started(command: str, *arguments: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [BIN / command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_env()
    )


# Two at once


def test_of_two_imports_into_one_folder_one_makes_the_server_and_the_other_is_told(tmp_path: Path) -> None:
    dump = many(tmp_path / "dump")
    server = tmp_path / "server"

    both = [started("devpi-import", "--serverdir", server, dump) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]

    codes = sorted(process.returncode for process in both)
    assert codes == [0, 1]
    (refused,) = [err for process, (_, err) in zip(both, said, strict=True) if process.returncode == 1]
    assert "is in use by process" in refused or "already contains devpi-server data" in refused
    assert "Traceback" not in refused
    assert whole(server)


def test_an_import_into_a_running_servers_folder_is_refused_and_the_server_goes_on(tmp_path: Path) -> None:
    server = tmp_path / "server"
    assert do_import(server, with_wheel().write(tmp_path / "first")).status == 0
    other = an_sdist("other", "1.0")
    folder = put(tmp_path / "files", other)

    with a_server(server) as running:
        dump = do_import(server, ADump(indexes={"ann/new": a_stage()}).write(tmp_path / "second"))
        files = do_import(server, folder, "--index", DEV)
        page = running.get("/ann/dev/+simple/pkg/")

    assert (dump.status, files.status) == (1, 1)
    assert "already contains devpi-server data" in dump.err
    assert "is in use by process" in files.err
    assert page[0] == 200
    assert keys_in(server, "ann/new") is None
    assert names(server) == {WHEEL.filename}


# An export beside a server that takes uploads


def upload(server: Server, dist: Dist, version: str) -> None:
    body = a_form(fields_of(dist, "grow", version), dist.filename, dist.content)
    status, answer = server.send("POST", "/ann/dev/", body, content_type=FORM, authorization=basic("ann"))
    assert status == 200, answer


def test_an_export_beside_uploads_is_of_one_moment_and_can_be_imported(tmp_path: Path) -> None:
    server = tmp_path / "server"
    first = ADump(indexes={DEV: a_stage(acl_upload=[":ANONYMOUS:"])}).write(tmp_path / "first")
    assert do_import(server, first).status == 0
    enough = threading.Event()

    with a_server(server) as running:
        done = threading.Thread(target=_keep_uploading, args=(running, enough))
        done.start()
        try:
            until(lambda: len(files_in(server)) >= 10, "uploads have begun")
            exported = run("devpi-export", "--serverdir", str(server), str(tmp_path / "dump"))
        finally:
            enough.set()
            done.join()

    document = json.loads((tmp_path / "dump" / "dataindex.json").read_text())["indexes"][DEV]
    back = do_import(tmp_path / "other", tmp_path / "dump")
    assert exported.returncode == 0, exported.stderr
    assert back.status == 0, back.err
    versions = {file["version"] for file in document["files"]}
    assert len(versions) >= 10
    # They came one after the other: of one moment means none is missing in between.
    assert versions == {str(number) for number in range(len(versions))} == set(document["projects"]["grow"])
    assert len(files_in(tmp_path / "other")) == len(versions) <= len(files_in(server))


def _keep_uploading(server: Server, enough: threading.Event) -> None:
    number = 0
    while not enough.is_set():
        upload(server, an_sdist("grow", str(number)), str(number))
        number += 1


# A disk that fills in the middle


def test_an_export_whose_disk_fills_in_the_middle_leaves_no_dump_and_is_ended_by_the_next(tmp_path: Path) -> None:
    dump = ADump()
    projects: dict[str, Any] = {}
    files = []
    for number in range(6):
        dist = a_wheel(f"pkg{number}", "1.0", payload=bytes([number]) * (512 << 10))
        files.append(a_file(dist, f"pkg{number}"))
        dump.content[files[-1]["relpath"]] = dist.content
        projects |= a_project(f"pkg{number}")
    dump.indexes = {DEV: a_stage(projects, files)}
    server = tmp_path / "server"
    assert do_import(server, dump.write(tmp_path / "first")).status == 0
    disk, target = tmp_path / "disk", tmp_path / "disk" / "dump"
    disk.mkdir()
    # Something else takes the room between the look at the disk and the copies: --hard-links never looks.
    script = f'"$@"; echo "left $?"; ls -A {target}; ls {target}/ann/dev; mount -o remount,size=16m {disk}; exec "$@"'

    done = mounted(
        disk, small_disk("2m"), "/bin/sh", "-c", script, "sh",
        str(BIN / "devpi-export"), "--serverdir", str(server), "--hard-links", str(target),
    )  # fmt: skip

    assert "left 1\n" in done.stdout
    assert "Make room and run the same command again" in done.stderr
    assert "an export to this folder was interrupted: going on with it" in done.stderr
    assert "Traceback" not in done.stderr
    first, _, second = done.stdout.partition("left 1\n")
    assert "writing dataindex.json" not in first
    assert MARKER in second.splitlines()[:3]
    assert "keep file at" in second
    assert "writing dataindex.json" in second
    assert done.returncode == 0


# kill -9 of an import of a folder


def a_folder(folder: Path, layout: str) -> Path:
    """Files enough to be interrupted in."""
    wheels = [a_wheel(f"pkg{number}", "1.0") for number in range(MANY)]
    if layout == "plain":
        return put(folder, *wheels)
    for number, wheel in enumerate(wheels):
        if layout == "pypiserver":
            put(folder / f"team{number % 7}", wheel)
            continue
        put(folder / "web" / "packages" / wheel.sha256[:2], wheel)
        page = folder / "web" / "simple" / f"pkg{number}" / "index.html"
        page.parent.mkdir(parents=True)
        url = f"../../packages/{wheel.sha256[:2]}/{wheel.filename}#sha256={wheel.sha256}"
        page.write_text(f'<a href="{url}">{wheel.filename}</a>')
    return folder


@pytest.mark.parametrize("blobs", [0, 150, 700])
@pytest.mark.parametrize("layout", ["plain", "pypiserver", "bandersnatch"])
def test_an_import_of_a_folder_killed_at_any_point_loses_nothing_and_goes_on(
    tmp_path: Path, layout: str, blobs: int
) -> None:
    server = tmp_path / "server"
    assert do_import(server, with_wheel().write(tmp_path / "first")).status == 0
    folder = a_folder(tmp_path / "files", layout)
    there = len(list((server / "blobs").rglob("*/*/*")))
    process = started("devpi-import", "--serverdir", server, "--index", DEV, folder)
    until(lambda: len(list((server / "blobs").rglob("*/*/*"))) > there + blobs, "it has begun")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    half = files_in(server)

    done = do_import(server, folder, "--index", DEV)

    assert WHEEL.filename in {file.filename for file in half}
    assert all(len(blob(server, file.digest)) == file.size for file in half)
    assert done.status == 0, done.err
    assert done.lines[0].startswith(f"{layout}: ")
    assert f"{len(half) - 1} were there already, 0 left out" in done.lines[-1]
    assert whole_with_first(server)
    checked = run("devpi-fsck", "--serverdir", str(server))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def whole_with_first(server: Path) -> bool:
    found = files_in(server)
    return len(found) == MANY + 1 and all(len(blob(server, one.digest)) == one.size for one in found)

"""`devpi-export`: devpi's layout, whole or not a dump, from a server that may run; what devpi has no place for."""

import contextlib
import json
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stilton.db import inventory, mirrors, pins, stages
from stilton.db.database import connect, write_now
from stilton.domain.files import File, Project, Status
from stilton.domain.holdings import Held
from stilton.domain.names import IndexName, ProjectName
from stilton.publish import shelf
from stilton.serverdir import ServerDir
from stilton.upkeep.exports import MARKER
from tests.support.builders import a_wheel, an_sdist
from tests.support.deadline import until
from tests.support.mounts import mounted, small_disk
from tests.support.privilege import as_anybody, needs_a_reader
from tests.support.server import BIN, a_server, clean_env, run
from tests.upkeep.dumps import (
    DEV,
    WHEEL,
    ADump,
    a_file,
    a_project,
    a_stage,
    a_user,
    do_export,
    do_import,
    files_in,
    reading,
    with_wheel,
)

AT = 1_700_000_000.25
TRAIL = "+stilton-1/audit.jsonl"
PYPI = IndexName("root/pypi")
PKG = ProjectName("pkg")


def a_filled_server(tmp_path: Path, dump: ADump | None = None) -> Path:
    """A server with one wheel on ann/dev, or with what is in `dump`."""
    done = do_import(tmp_path / "server", (dump or with_wheel()).write(tmp_path / "first"))
    assert done.status == 0, done.err
    return tmp_path / "server"


@contextlib.contextmanager
def writing(serverdir: Path) -> Iterator[Any]:
    """`write(function, …)` in a transaction."""
    engine = connect(ServerDir(serverdir).database)
    try:
        yield lambda work, *arguments, **more: write_now(engine, lambda: AT, work, *arguments, **more)
    finally:
        engine.dispose()


def index_of(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "dataindex.json").read_text())
    return document


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def everything(serverdir: Path) -> dict[str, Any]:
    """All that an index has, as the database says it."""
    with reading(serverdir) as connection:
        return {
            "projects": inventory.projects_of(connection, DEV),
            "releases": inventory.releases_of(connection, DEV),
            "files": inventory.files_of(connection, DEV),
            "held": inventory.cached_of(connection, PYPI),
            "pins": [(pin.path, pin.reason) for pin in pins.of_mirror(connection, PYPI)],
        }


def test_nobody_else_reads_a_dump_which_has_the_hashes_of_passwords(tmp_path: Path) -> None:
    server = a_filled_server(tmp_path)
    (tmp_path / "there").mkdir(mode=0o755)

    for name in ("made", "there"):
        assert do_export(server, tmp_path / name).status == 0

    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "there" / "dataindex.json").stat().st_mode) == 0o600


def test_the_layout_is_devpis(tmp_path: Path) -> None:
    docs = {**a_file(), "type": "doczip", "relpath": "ann/dev/pkg-1.0.doc.zip", "entrymapping": {}}
    result = {
        **a_file(), "type": "toxresult", "relpath": f"ann/dev/pkg/x/{WHEEL.filename}.toxresult-20200101000000-0",
        "for_entrypath": f"ann/dev/{WHEEL.path}", "entrymapping": {},
    }  # fmt: skip
    dump = with_wheel()
    dump.indexes[DEV]["files"] += [docs, result]
    dump.content |= {docs["relpath"]: b"docs", result["relpath"]: b"{}"}
    server = a_filled_server(tmp_path, dump)

    done = do_export(server, tmp_path / "dump")

    result_place = f"ann/dev/pkg/sha256={WHEEL.sha256}/{WHEEL.filename}.toxresult-20200101000000-0"
    assert done.status == 0, done.err
    assert tree(tmp_path / "dump").keys() == {
        "dataindex.json", f"ann/dev/pkg/1.0/{WHEEL.filename}", "ann/dev/pkg-1.0.doc.zip", result_place, TRAIL,
    }  # fmt: skip
    document = index_of(tmp_path / "dump")
    assert document["dumpversion"] == "2"
    files = {file["type"]: file for file in document["indexes"][DEV]["files"]}
    assert files["toxresult"]["relpath"] == result_place
    assert files["toxresult"]["for_entrypath"] == f"ann/dev/{WHEEL.path}"
    wheel = {key: value for key, value in files["releasefile"].items() if key != "stilton-1"}
    assert wheel == a_file()
    assert (tmp_path / "dump" / "dataindex.json").read_text().startswith('{\n  "dumpversion"')


def test_it_says_what_scripts_read(tmp_path: Path) -> None:
    server = a_filled_server(tmp_path)

    done = do_export(server, tmp_path / "a" / "dump")

    place = f"ann/dev/pkg/1.0/{WHEEL.filename}"
    length = (tmp_path / "a" / "dump" / "dataindex.json").stat().st_size
    assert done.status == 0
    assert done.err == ""
    assert done.lines == [
        f"creating {tmp_path / 'a' / 'dump'}",
        "dumped user 'ann'",
        "dumped user 'root'",
        f"copy file at {place}",
        f"dumped releasefile: {place}",
        "dumped index 'ann/dev'",
        "dumped index 'root/pypi'",
        f"writing dataindex.json, length {length}",
    ]


def test_users_and_indexes_are_written_as_they_are(tmp_path: Path) -> None:
    users = {
        "root": a_user("root"),
        "ann": a_user(
            "ann", pwhash="$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", custom_data={"a": 1}
        ),
    }
    dump = ADump(users=users, indexes={DEV: a_stage(acl_pkg_read=["ann"], odd="x", bases=["no/where"])})

    do_export(a_filled_server(tmp_path, dump), tmp_path / "dump")

    document = index_of(tmp_path / "dump")
    assert document["users"] == users
    keys = document["indexes"][DEV]["indexconfig"]
    assert (keys["acl_pkg_read"], keys["odd"], keys["bases"]) == (["ann"], "x", ["no/where"])


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    server = a_filled_server(tmp_path)
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "mine").write_text("x")

    done = do_export(server, tmp_path / "dump")

    assert done.status == 1
    assert done.err == f"fatal: export directory {tmp_path / 'dump'} must not exist or be empty\n"
    assert tree(tmp_path / "dump") == {"mine": b"x"}


@pytest.mark.parametrize("place", ["dump", "blobs/dump"])
def test_a_dump_is_not_written_into_the_server_s_own_folder(tmp_path: Path, place: str) -> None:
    server = a_filled_server(tmp_path)

    done = do_export(server, server / place)

    assert done.status == 1
    assert f"{server / place} is in {(server / place).parent}, a server's folder:" in done.err
    assert "a dump there would be lost with it. Name a folder elsewhere" in done.err
    assert not (server / place).exists()


def test_indexes_that_only_some_may_read_are_told_because_devpi_shows_them_to_everybody(tmp_path: Path) -> None:
    open_to = {"ann/some": ["ann"], "ann/all": ["ann", ":ANONYMOUS:"], "ann/nobody": []}
    indexes = {name: a_stage(acl_pkg_read=readers) for name, readers in open_to.items()}
    server = a_filled_server(tmp_path, ADump(indexes={DEV: a_stage(), **indexes}))

    done = do_export(server, tmp_path / "dump")

    assert done.err == "notice: a devpi-server that takes the dump lets everybody read ann/nobody, ann/some\n"


@needs_a_reader
def test_a_blob_that_this_user_may_not_read_is_told_as_such(tmp_path: Path) -> None:
    server = a_filled_server(tmp_path)
    place = ServerDir(server).blobs.path(WHEEL.sha256)
    place.chmod(0)

    done = run(*as_anybody("devpi-export", "--serverdir", str(server), str(tmp_path / "dump")))

    assert done.returncode == 1
    assert f"fatal: The file at {place} cannot be read: Permission denied. It is ann/dev/pkg/1.0/" in done.stderr
    assert not (tmp_path / "dump" / "dataindex.json").exists()


def test_a_finished_dump_is_not_written_over(tmp_path: Path) -> None:
    server = a_filled_server(tmp_path)
    do_export(server, tmp_path / "dump")
    before = tree(tmp_path / "dump")

    done = do_export(server, tmp_path / "dump")

    assert done.status == 1
    assert tree(tmp_path / "dump") == before


def test_a_folder_that_is_no_server_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    done = do_export(tmp_path / "nothing", tmp_path / "dump")

    assert done.status == 1
    assert "contains no devpi-server data" in done.err
    assert not (tmp_path / "dump").exists()


@pytest.mark.parametrize("how", ["missing", "rotten"])
def test_a_blob_that_is_not_what_it_was_ends_the_export_and_there_is_no_dump(tmp_path: Path, how: str) -> None:
    server = a_filled_server(tmp_path)
    blob = ServerDir(server).blobs.path(WHEEL.sha256)
    if how == "missing":
        blob.unlink()
    else:
        blob.write_bytes(b"bits flip")

    done = do_export(server, tmp_path / "dump")

    assert done.status == 1
    assert ("is missing" if how == "missing" else "sha256 mismatch") in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "dump" / "dataindex.json").exists()
    assert do_import(tmp_path / "other", tmp_path / "dump").status == 1


def test_hard_links_are_the_blobs_themselves(tmp_path: Path) -> None:
    server = a_filled_server(tmp_path)

    done = do_export(server, tmp_path / "dump", "--hard-links")

    place = f"ann/dev/pkg/1.0/{WHEEL.filename}"
    assert f"link file at {place}" in done.lines
    assert (tmp_path / "dump" / place).samefile(ServerDir(server).blobs.path(WHEEL.sha256))


def test_an_export_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    server = a_filled_server(tmp_path)
    place = tmp_path / "dump" / f"ann/dev/pkg/1.0/{WHEEL.filename}"
    place.parent.mkdir(parents=True)
    (tmp_path / "dump" / MARKER).touch()
    place.write_bytes(WHEEL.content)
    before = place.stat().st_ino

    done = do_export(server, tmp_path / "dump")

    assert done.status == 0, done.err
    assert "going on with it" in done.err
    assert place.stat().st_ino == before
    assert do_import(tmp_path / "other", tmp_path / "dump").status == 0


def test_what_an_interrupted_export_left_half_is_copied_again(tmp_path: Path) -> None:
    server = a_filled_server(tmp_path)
    place = tmp_path / "dump" / f"ann/dev/pkg/1.0/{WHEEL.filename}"
    place.parent.mkdir(parents=True)
    (tmp_path / "dump" / MARKER).touch()
    place.write_bytes(WHEEL.content[:10])

    do_export(server, tmp_path / "dump")

    assert place.read_bytes() == WHEEL.content
    assert not (tmp_path / "dump" / MARKER).exists()


def test_killed_in_the_middle_it_is_no_dump_and_is_finished_when_run_again(tmp_path: Path) -> None:
    files = []
    dump = ADump()
    projects: dict[str, Any] = {}
    for number in range(300):
        wheel = a_wheel(f"pkg{number}")
        files.append(a_file(wheel, f"pkg{number}"))
        dump.content[files[-1]["relpath"]] = wheel.content
        projects |= a_project(f"pkg{number}")
    dump.indexes = {DEV: a_stage(projects, files)}
    server = a_filled_server(tmp_path, dump)
    process = subprocess.Popen(
        [BIN / "devpi-export", "--serverdir", server, tmp_path / "dump"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_env(),
    )  # fmt: skip
    until(lambda: len(list((tmp_path / "dump").rglob("*.whl"))) > 20, "it has begun")
    process.send_signal(signal.SIGKILL)
    process.wait()
    half = (tmp_path / "dump" / "dataindex.json").exists()

    done = do_export(server, tmp_path / "dump")
    back = do_import(tmp_path / "other", tmp_path / "dump")

    assert not half
    assert (done.status, back.status) == (0, 0)
    assert files_in(tmp_path / "other") == files_in(server)


def test_the_server_may_run_meanwhile(tmp_path: Path) -> None:
    server = a_filled_server(tmp_path)

    with a_server(server) as running:
        done = run("devpi-export", "--serverdir", str(server), str(tmp_path / "dump"))
        health = running.get("/+health")[0]

    assert done.returncode == 0, done.stderr
    assert health == 200
    assert f"ann/dev/pkg/1.0/{WHEEL.filename}" in tree(tmp_path / "dump")


def test_a_disk_that_is_too_small_is_told_before_anything_is_copied(tmp_path: Path) -> None:
    big = a_wheel("pkg", "1.0", payload=bytes(3 << 20))
    file = a_file(big)
    dump = ADump(indexes={DEV: a_stage(a_project(), [file])}, content={file["relpath"]: big.content})
    server = a_filled_server(tmp_path, dump)
    (tmp_path / "disk").mkdir()

    done = mounted(
        tmp_path / "disk", small_disk("1m"), "devpi-export", "--serverdir", str(server), str(tmp_path / "disk" / "dump")
    )

    assert done.returncode == 1
    assert f"fatal: The files take 3.1 MB, the disk of {tmp_path / 'disk' / 'dump'} has 1.0 MB free: make room" in (
        done.stderr
    )
    assert "copy file" not in done.stdout


def test_a_full_disk_is_said_as_such_and_there_is_no_dump(tmp_path: Path) -> None:
    big = a_wheel("pkg", "1.0", payload=bytes(3 << 20))
    file = a_file(big)
    dump = ADump(indexes={DEV: a_stage(a_project(), [file])}, content={file["relpath"]: big.content})
    server = a_filled_server(tmp_path, dump)
    limited = f"trap '' XFSZ; ulimit -f 2048; exec {BIN / 'devpi-export'} --serverdir {server} {tmp_path / 'dump'}"

    full = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False, env=clean_env())

    assert full.returncode == 1
    assert f"the disk of {tmp_path / 'dump'} did not take {big.filename}" in full.stderr
    assert "run the same command again" in full.stderr
    assert "Traceback" not in full.stderr
    assert [path for path in tree(tmp_path / "dump") if path not in (MARKER, TRAIL)] == []
    assert do_export(server, tmp_path / "dump").status == 0


# What devpi's format has no place for


def test_yanks_statuses_provenance_and_what_is_gone_come_back(tmp_path: Path) -> None:
    server = a_filled_server(tmp_path, with_sdist_and_old())
    with writing(server) as write:
        proof = ServerDir(server).blobs.put(b'{"version": 1}', lasting=True)
        wheel = next(file for file in files_in(server) if file.filename == WHEEL.filename)
        write(shelf.yank, DEV, PKG, "1.0", "broken")
        write(lambda tx: stages.put_project(
            tx, DEV, stages.HostedProject(PKG, Status("deprecated", "use other"), gone=False), now=AT
        ))  # fmt: skip
        changed = {**{name: getattr(wheel, name) for name in wheel.__struct_fields__}, "provenance_digest": proof}
        write(stages.put_file, DEV, type(wheel)(**{**changed, "yanked": "", "uploaded_at": AT}))
        write(lambda tx: shelf.take_project(tx, DEV, ProjectName("old"), now=AT))
    before = everything(server)

    do_export(server, tmp_path / "dump")
    back = do_import(tmp_path / "other", tmp_path / "dump")

    assert back.status == 0, back.err
    assert everything(tmp_path / "other") == before
    assert ServerDir(tmp_path / "other").blobs.path(proof).read_bytes() == b'{"version": 1}'


def with_sdist_and_old() -> ADump:
    """pkg 1.0 as a wheel and an sdist, and old 0.1."""
    sdist, old = an_sdist("pkg", "1.0"), an_sdist("old", "0.1")
    files = [a_file(), a_file(sdist), a_file(old, "old", "0.1")]
    projects = {**a_project("pkg", "1.0", "2.0"), **a_project("old", "0.1")}
    content = [WHEEL.content, sdist.content, old.content]
    return ADump(
        indexes={DEV: a_stage(projects, files)},
        content={file["relpath"]: data for file, data in zip(files, content, strict=True)},
    )


def test_files_of_mirrors_are_exported_only_when_they_are_asked_for(tmp_path: Path) -> None:
    server = with_mirror(tmp_path)

    do_export(server, tmp_path / "dump")

    document = index_of(tmp_path / "dump")
    assert document["indexes"][PYPI]["files"] == []
    assert document["indexes"][PYPI]["projects"] == {}
    assert "root/pypi" not in {path.rpartition("/")[0][:9] for path in tree(tmp_path / "dump")}


def test_what_mirrors_hold_comes_back_with_its_place_its_use_and_its_pins(tmp_path: Path) -> None:
    server = with_mirror(tmp_path)
    before = everything(server)

    done = do_export(server, tmp_path / "dump", "--include-mirrored-files")
    back = do_import(tmp_path / "other", tmp_path / "dump")

    assert (done.status, back.status) == (0, 0), done.err + back.err
    document = index_of(tmp_path / "dump")["indexes"][PYPI]
    assert document["projects"] == {
        "dep": {"1.0": {"name": "dep", "version": "1.0", "requires_python": ">=3.8", "yanked": "broken"}},
        "plain": {"1.0": {"name": "plain", "version": "1.0"}},
    }
    assert everything(tmp_path / "other") == before
    with reading(tmp_path / "other") as connection:
        packed = mirrors.page(connection, PYPI, ProjectName("plain"))
    assert packed is not None
    assert [file.url for file in mirrors.unpack(packed).project.files] == ["http://127.0.0.1:9/f/plain-1.0.tar.gz"]


def with_mirror(tmp_path: Path) -> Path:
    """root/pypi holds a wheel, pinned, and a file whose upstream gave no hash, so that its path has none."""
    keys = {"type": "mirror", "volatile": False, "mirror_url": "http://127.0.0.1:9/simple/"}
    server = a_filled_server(tmp_path, ADump(indexes={PYPI: {"indexconfig": keys, "projects": {}, "files": []}}))
    blobs = ServerDir(server).blobs
    wheel, sdist = a_wheel("dep", "1.0"), an_sdist("plain", "1.0")
    known = File(
        filename=wheel.filename, url=f"http://127.0.0.1:9/f/{wheel.filename}", hashes={"sha256": wheel.sha256},
        requires_python=">=3.8", yanked="broken",
    )  # fmt: skip
    plain = File(filename=sdist.filename, url=f"http://127.0.0.1:9/f/{sdist.filename}")
    path = "+e/http_127.0.0.1_9_f/plain-1.0.tar.gz"
    with writing(server) as write:
        for name, file in (("dep", known), ("plain", plain)):
            page = mirrors.Page(project=Project(name=ProjectName(name), files=(file,)), etag=None, checked_at=AT)
            write(mirrors.keep_page, PYPI, page)
        for name, dist, place in (("dep", wheel, wheel.path), ("plain", sdist, path)):
            held = Held(
                digest=blobs.put(dist.content),
                size=len(dist.content),
                metadata_digest=blobs.put(dist.metadata) if name == "dep" else None,
            )
            entry = mirrors.HeldFile(
                path=place, project=ProjectName(name), held=held, last_modified="Fri, 12 Sep 2014 13:18:55 GMT"
            )
            write(mirrors.keep_file, PYPI, entry, AT)
        write(pins.put, PYPI, [wheel.path], reason="lock", at=AT)
    return server

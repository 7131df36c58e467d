"""`devpi-fsck`: what is on the disk against what the database says, and what is mended."""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import event

from stilton.blobs.local import LocalBlobs
from stilton.cli.findings import WORDS
from stilton.cli.fsck import check
from stilton.db.database import connect
from stilton.domain.names import IndexName
from stilton.upkeep.bookmark import NAME, Bookmark, Progress
from stilton.upkeep.check import Flaw, Place
from stilton.upkeep.check import check as check_from
from tests.http.test_uploads import an_attestation
from tests.support.builders import Dist, a_wheel, an_sdist, metadata_of
from tests.support.client import Client
from tests.support.deadline import until
from tests.support.mounts import mounted, read_only
from tests.support.publish import a_team, upload
from tests.support.server import BIN, a_server, clean_env
from tests.support.upstream import FakeUpstream, Threaded
from tests.support.world import Clock, an_app, make_serverdir

OURS = a_wheel("ours", metadata=metadata_of("ours", "1.0", requires_python=">=3.9"))
SDIST = an_sdist("ours", "1.0")
THEIRS, OTHERS = a_wheel("theirs"), a_wheel("others")


@dataclass
class Folder:
    """A stopped server's data: `OURS` and `SDIST` on team/dev, `THEIRS` and `OTHERS` held by root/pypi."""

    path: Path
    upstream: FakeUpstream
    blobs: LocalBlobs = field(init=False)

    def __post_init__(self) -> None:
        self.blobs = LocalBlobs(self.path)

    def fsck(self, *arguments: str) -> Result:
        return CliRunner().invoke(check, ["--serverdir", str(self.path), *arguments], catch_exceptions=False)

    def report(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.fsck("--json", "-", *arguments).stdout)
        return found

    def sql(self, statement: str, *values: object) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.path / "stilton.sqlite")) as database, database:
            return database.execute(statement, values).fetchall()

    def everything(self) -> list[Any]:
        blobs = [(str(path), path.read_bytes()) for path in sorted((self.path / "blobs").rglob("*")) if path.is_file()]
        return [self.sql("SELECT * FROM files"), self.sql("SELECT * FROM held"), blobs]

    def spoil(self, digest: str) -> None:
        """Other bytes, as many."""
        blob = self.blobs.path(digest)
        blob.write_bytes(bytes(blob.stat().st_size))

    def lose(self, *digests: str) -> None:
        for digest in digests:
            self.blobs.path(digest).unlink()

    def get(self, url: str) -> tuple[int, bytes]:
        """Ask the server for something."""

        async def ask() -> tuple[int, bytes]:
            app = an_app(self.path, Clock(), {})
            await app.open()
            try:
                answer = await Client(app).get(url)
                return answer.status, answer.body
            finally:
                await app.close()

        return asyncio.run(ask())


async def _fill(folder: Path) -> None:
    app = an_app(folder, Clock(), {})
    await app.open()
    client = Client(app)
    await a_team(client)
    proof = json.dumps([an_attestation(OURS.filename, OURS.sha256)])
    assert (await upload(client, "team/dev", OURS, "ours", attestations=proof)).status == 200
    assert (await upload(client, "team/dev", SDIST, "ours")).status == 200
    for wheel in (THEIRS, OTHERS):
        assert (await client.get(f"/root/pypi/{wheel.path}")).status == 200
    files = app.indexes.mirror(IndexName("root/pypi")).files
    for task in list(files._tasks.values()):
        await task
    await app.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with Threaded() as upstream:
        upstream.add("theirs", THEIRS)
        upstream.add("others", OTHERS)
        path = tmp_path / "server"
        make_serverdir(path, upstream.url)
        asyncio.run(_fill(path))
        yield Folder(path, upstream)


def test_a_folder_in_order_is_told_so_and_left_as_it_is(folder: Folder) -> None:
    before = folder.everything()

    result = folder.fsck()

    assert result.exit_code == 0
    assert "Checking at serial " in result.stdout
    assert "Finished with a total of 4 files." in result.stdout
    assert "MB/s" in result.stdout
    assert folder.everything() == before
    assert not (folder.path / NAME).exists()


def test_the_report_is_json_on_stdout_and_words_go_to_stderr(folder: Folder) -> None:
    result = folder.fsck("--json", "-")

    assert json.loads(result.stdout) == {
        "ok": True, "files": 4, "bytes_read": sum(len(d.content) for d in (OURS, SDIST, THEIRS, OTHERS)),
        "seconds": json.loads(result.stdout)["seconds"], "mended": 0, "unmended": 0, "problems": [],
        "unreferenced": {"blobs": 0, "bytes": 0}, "removed": {"blobs": 0, "bytes": 0},
        "strange": [], "incoming": {"files": 0, "bytes": 0},
    }  # fmt: skip
    assert "Finished" in result.stderr


def test_the_report_goes_to_a_file(folder: Folder, tmp_path: Path) -> None:
    assert folder.fsck("--json", str(tmp_path / "report.json")).exit_code == 0
    assert json.loads((tmp_path / "report.json").read_bytes())["files"] == 4


def test_that_a_report_cannot_be_written_is_said_before_anything_is_read(folder: Folder, tmp_path: Path) -> None:
    result = folder.fsck("--json", str(tmp_path))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"fatal: The report {tmp_path} cannot be written: Is a directory.\n"


def test_missing_files_are_named_and_nothing_changes_without_repair(folder: Folder) -> None:
    folder.lose(OURS.sha256, THEIRS.sha256)
    before = folder.everything()

    result = folder.fsck()

    assert result.exit_code == 1
    assert f"Missing file team/dev/{OURS.path}\n" in result.stdout
    assert f"Missing file root/pypi/{THEIRS.path}\n" in result.stdout
    assert "fatal: There have been errors during consistency check.\n" in result.stderr
    assert "devpi-fsck --repair" in result.stderr
    assert folder.everything() == before


def test_after_nine_missing_files_the_rest_is_counted(folder: Folder) -> None:
    for n in range(12):
        folder.sql(
            "INSERT INTO held (mirror, path, project, digest, size, fetched_at) VALUES ('root/pypi', ?, 'x', ?, 1, 0)",
            f"+f/abc/0123456789def/x-{n}.0.tar.gz", f"{n:064x}",
        )  # fmt: skip

    result = folder.fsck()

    assert result.stdout.count("Missing file ") == 9
    assert "Further missing files will be omitted." in result.stdout
    assert "12 things are wrong" in result.stderr
    assert len(folder.report()["problems"]) == 12


@pytest.mark.parametrize("checksum", [True, False], ids=["checksum", "no checksum"])
def test_bytes_that_changed_are_found_by_reading_them(folder: Folder, checksum: bool) -> None:
    folder.spoil(OURS.sha256)

    report = folder.report("--checksum" if checksum else "--no-checksum")

    flaws = [(problem["flaw"], problem["file"]) for problem in report["problems"]]
    assert flaws == ([("corrupt", f"team/dev/{OURS.path}")] if checksum else [])


def test_a_cut_file_is_found_without_reading_it(folder: Folder) -> None:
    folder.blobs.path(OURS.sha256).write_bytes(b"short")

    report = folder.report("--no-checksum")

    assert [problem["why"] for problem in report["problems"]] == [f"it has 5 bytes, not {len(OURS.content)}"]
    assert report["bytes_read"] == 0


def test_repair_drops_what_a_mirror_can_fetch_again(folder: Folder) -> None:
    folder.lose(THEIRS.sha256)
    folder.spoil(OTHERS.sha256)

    result = folder.fsck("--repair")

    assert result.exit_code == 0
    assert f"Missing file root/pypi/{THEIRS.path} (dropped, to be fetched again)" in result.stdout
    assert "Mended 2 of 2." in result.stdout
    assert folder.sql("SELECT * FROM held") == []
    assert [path.name for path in (folder.path / "quarantine").iterdir()] == [OTHERS.sha256]
    for wheel in (THEIRS, OTHERS):
        assert folder.get(f"/root/pypi/{wheel.path}") == (200, wheel.content)


def test_refetch_fetches_them_at_once(folder: Folder) -> None:
    folder.lose(THEIRS.sha256)
    folder.spoil(OTHERS.sha256)

    result = folder.fsck("--repair", "--refetch")

    assert result.exit_code == 0
    assert "Fetched 2 of 2 files again." in result.stdout
    assert folder.blobs.intact(THEIRS.sha256)
    assert folder.blobs.intact(OTHERS.sha256)
    assert folder.report()["ok"]


def test_what_upstream_does_not_have_any_more_is_told(folder: Folder) -> None:
    folder.lose(THEIRS.sha256, OTHERS.sha256)
    folder.upstream.projects["theirs"].dists.clear()

    result = folder.fsck("--repair", "--refetch")

    assert f"Not fetched again root/pypi/{THEIRS.path}: " in result.stdout
    assert "Fetched 1 of 2 files again." in result.stdout


def test_a_private_file_that_is_lost_stays_in_the_database_until_it_is_uploaded_again(folder: Folder) -> None:
    folder.spoil(OURS.sha256)
    before = folder.sql("SELECT * FROM files")

    result = folder.fsck("--repair")
    answer = folder.get(f"/team/dev/{OURS.path}")

    assert result.exit_code == 1
    assert "cannot be mended: restore these files from a backup, or upload them again" in result.stderr
    assert folder.sql("SELECT * FROM files") == before
    assert hashlib.sha256((folder.path / "quarantine" / OURS.sha256).read_bytes()).hexdigest() != OURS.sha256
    assert (answer[0], b"restore it from a backup" in answer[1]) == (500, True)
    asyncio.run(_upload_again(folder.path, OURS))
    assert folder.report()["ok"]
    assert folder.get(f"/team/dev/{OURS.path}") == (200, OURS.content)


async def _upload_again(folder: Path, wheel: Dist) -> None:
    app = an_app(folder, Clock(), {})
    await app.open()
    assert (await upload(Client(app), "team/dev", wheel, "ours")).status == 200
    await app.close()


@pytest.mark.parametrize("spoiled", [True, False], ids=["corrupt", "missing"])
def test_metadata_is_made_again(folder: Folder, spoiled: bool) -> None:
    for wheel in (OURS, THEIRS):
        (folder.spoil if spoiled else folder.lose)(wheel.metadata_sha256)
    word = "corrupt" if spoiled else "missing"

    found = folder.report()
    result = folder.fsck("--repair")

    assert [problem["flaw"] for problem in found["problems"]] == [f"metadata {word}"] * 2
    assert result.exit_code == 0
    assert folder.report()["ok"]
    for index, wheel in (("team/dev", OURS), ("root/pypi", THEIRS)):
        assert folder.get(f"/{index}/{wheel.path}.metadata") == (200, wheel.metadata)


def test_pages_say_what_the_wheel_says(folder: Folder) -> None:
    other = folder.blobs.put(b"Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n")
    folder.sql("UPDATE files SET metadata_digest = ? WHERE digest = ?", other, OURS.sha256)
    folder.sql("UPDATE held SET metadata_digest = ? WHERE digest = ?", other, THEIRS.sha256)

    found, repaired = folder.report(), folder.report("--repair")

    assert [problem["flaw"] for problem in found["problems"]] == ["metadata differs"] * 2
    assert repaired["mended"] == 2
    assert folder.sql("SELECT metadata_digest FROM files WHERE digest = ?", OURS.sha256) == [(OURS.metadata_sha256,)]
    assert folder.sql("SELECT metadata_digest FROM held WHERE digest = ?", THEIRS.sha256) == [(None,)]


def test_what_a_page_says_of_python_is_what_the_wheel_says(folder: Folder) -> None:
    folder.sql("UPDATE files SET requires_python = '>=2' WHERE digest = ?", OURS.sha256)

    found = folder.report()
    folder.fsck("--repair")

    assert found["problems"][0]["why"] == "its page says '>=2', the wheel '>=3.9'"
    assert folder.sql("SELECT requires_python FROM files WHERE digest = ?", OURS.sha256) == [(">=3.9",)]


@pytest.mark.parametrize("spoiled", [True, False], ids=["corrupt", "missing"])
def test_a_lost_provenance_cannot_be_mended(folder: Folder, spoiled: bool) -> None:
    [(digest,)] = folder.sql("SELECT provenance_digest FROM files WHERE digest = ?", OURS.sha256)
    (folder.spoil if spoiled else folder.lose)(digest)

    result = folder.fsck("--repair")

    assert result.exit_code == 1
    assert f"{'Corrupt' if spoiled else 'Missing'} provenance of team/dev/{OURS.path}\n" in result.stdout
    assert (folder.path / "quarantine").exists() is spoiled


def test_blobs_that_nothing_refers_to_are_told_and_removed_by_repair_however_young(folder: Folder) -> None:
    digest = folder.blobs.put(b"left by a crash")

    told, removed = folder.report(), folder.report("--repair")

    assert told["unreferenced"] == {"blobs": 1, "bytes": 15}
    assert told["ok"]
    assert removed["removed"] == {"blobs": 1, "bytes": 15}
    assert not folder.blobs.has(digest)
    assert folder.report()["files"] == 4


def strange_things(folder: Folder) -> list[str]:
    """Put things among the blobs that are none; their paths below the serverdir."""
    ours = folder.blobs.path(OURS.sha256)
    names = {
        "blobs/notes.txt": None, "blobs/sha256/readme": None, "blobs/sha256/AB": "folder", "blobs/sha256/00/sub": "folder",
        f"blobs/sha256/{OURS.sha256}": None, f"blobs/sha256/ff/{'G' * 62}": None, f"blobs/sha256/ff/{'a' * 61}": None,
        f"blobs/sha256/fe/{'b' * 62}": "link", f"blobs/sha256/fd/{'c' * 62}": "folder",
        "blobs/sha256/00/x.whl.tmp": None,
    }  # fmt: skip
    for name, kind in names.items():
        path = folder.path / name
        path.parent.mkdir(exist_ok=True)
        if kind == "folder":
            path.mkdir()
            (path / "inside").write_bytes(b"x")
        elif kind == "link":
            path.symlink_to(ours)
        else:
            path.write_bytes(b"strange")
    return sorted(names)


@pytest.mark.parametrize("arguments", [[], ["--repair"]], ids=["look", "repair"])
def test_strange_things_among_the_blobs_are_named_and_left_alone(folder: Folder, arguments: list[str]) -> None:
    strange = strange_things(folder)
    before = folder.everything()

    result = folder.fsck("--json", str(folder.path / "report.json"), *arguments)
    report = json.loads((folder.path / "report.json").read_bytes())

    assert result.exit_code == 0
    assert [line for line in result.stdout.splitlines() if line.startswith("Strange ")] == [
        f"Strange {path}" for path in strange[:9]
    ]
    assert "10 things in the folder of the blobs were not put there by this server" in result.stdout
    assert report["strange"] == strange
    assert (report["ok"], report["removed"], report["unreferenced"]) == (
        True, {"blobs": 0, "bytes": 0}, {"blobs": 0, "bytes": 0},
    )  # fmt: skip
    assert folder.everything() == before


def test_what_uploads_left_that_were_cut_off_is_told_and_removed_by_repair(folder: Folder) -> None:
    for name in ("0123.upload", "4567.part"):
        (folder.path / "incoming" / name).write_bytes(bytes(1000))
    before = folder.everything()

    told, removed = folder.fsck(), folder.fsck("--repair")

    assert (told.exit_code, removed.exit_code) == (0, 0)
    assert "There are 2 files (0.0 MB) of incoming, on their way or left by a crash: the server's" in told.stdout
    assert "Removed 2 files (0.0 MB) of incoming" in removed.stdout
    assert list((folder.path / "incoming").iterdir()) == []
    assert folder.everything() == before


def test_each_flaw_has_a_sentence_that_says_what_repair_does() -> None:
    assert set(WORDS) == set(Flaw)
    assert [words.many for words in WORDS.values() if "--repair" not in words.means] == []


def test_the_sentence_stands_once_and_not_after_it_was_mended(folder: Folder) -> None:
    folder.lose(THEIRS.sha256, OTHERS.sha256)

    told, mended = folder.fsck(), folder.fsck("--repair")

    assert told.stdout.count("Missing files: the database names them, the disk has them not. --repair forgets") == 1
    assert "Missing files:" not in mended.stdout


def test_a_row_that_went_while_its_file_was_read_is_no_problem(folder: Folder) -> None:
    """Beside a running server, which removes files: the row is looked at again."""
    folder.lose(THEIRS.sha256)
    engine = connect(folder.path / "stilton.sqlite")
    seen: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def removed_meanwhile(*arguments: Any) -> None:
        # The page of mirrored files was read; now the row is looked at again.
        seen.append(arguments[2])
        if "LIMIT" not in arguments[2]:
            folder.sql("DELETE FROM held WHERE project = 'theirs'")

    problems = [
        one for step in check_from(engine, folder.blobs, Place(1), checksum=True, jobs=1) for one in step.problems
    ]
    engine.dispose()

    assert any("LIMIT" not in statement for statement in seen)
    assert problems == []


def test_a_running_server_can_be_checked_and_not_repaired(folder: Folder) -> None:
    folder.lose(OURS.sha256)
    with a_server(folder.path) as server:
        checked = folder.fsck()
        before = folder.everything()
        repaired = folder.fsck("--repair")

        assert checked.exit_code == 1
        assert "Missing file" in checked.stdout
        assert repaired.exit_code == 1
        assert "is in use by process" in repaired.stderr
        assert folder.everything() == before
        assert server.get("/+health")[0] == 200


def test_an_interrupted_check_goes_on_where_it_stopped(folder: Folder) -> None:
    folder.lose(OURS.sha256, SDIST.sha256)
    # The last file is one that does not end while somebody holds the pipe open.
    last = max(THEIRS, OTHERS, key=lambda wheel: wheel.sha256)
    blob = folder.blobs.path(last.sha256)
    blob.unlink()
    os.mkfifo(blob)
    folder.sql("UPDATE held SET size = 0 WHERE digest = ?", last.sha256)
    process = subprocess.Popen(
        [BIN / "devpi-fsck", "--serverdir", folder.path, "--jobs", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_env(),
    )  # fmt: skip
    assert process.stdout is not None
    found = 0
    while found < 2:  # the third may be read and not counted yet
        line = process.stdout.readline()
        assert line, "it ended"
        found += line.startswith("Missing file")
    writer = until(lambda: _opened(blob), "the check reads the pipe")
    assert writer is not None
    os.kill(process.pid, signal.SIGINT)
    os.close(writer)
    said = process.communicate(timeout=20)[0]
    blob.unlink()
    blob.write_bytes(last.content)
    folder.sql("UPDATE held SET size = ? WHERE digest = ?", len(last.content), last.sha256)

    result = folder.fsck("--resume")

    assert process.returncode == 130
    stopped = re.search(r"Stopped after ([23]) files; devpi-fsck --resume goes on there\.", said)
    assert stopped, said
    assert f"Going on after {stopped[1]} files." in result.stderr
    assert "Finished with a total of 4 files." in result.stdout
    # What was found before it was interrupted counts.
    assert "2 things are wrong" in result.stderr


def _opened(pipe: Path) -> int | None:
    """The writing end, once somebody reads."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def test_resume_goes_on_after_what_was_checked(folder: Folder) -> None:
    Bookmark(folder.path).write(Progress(checksum=True, place=Place(1), rows=2, read_bytes=7, seconds=1.0))
    folder.lose(OURS.sha256)  # was checked before it was lost

    told = folder.fsck("--no-checksum")
    Bookmark(folder.path).write(Progress(checksum=True, place=Place(1), rows=2, read_bytes=7, seconds=1.0))
    result = folder.fsck("--resume")

    assert "An earlier check stopped after 2 files; --resume would go on there." in told.stderr
    assert result.exit_code == 0
    assert "Going on after 2 files." in result.stderr
    assert "Finished with a total of 4 files." in result.stdout


@pytest.mark.parametrize(
    ("unmended", "repair", "rows"), [(0, False, 2), (1, False, 0), (1, True, 2)], ids=["nothing", "looked", "repaired"]
)
def test_repair_goes_on_only_after_what_was_mended_or_right(
    folder: Folder, unmended: int, repair: bool, rows: int
) -> None:
    bookmark = Bookmark(folder.path)
    bookmark.write(Progress(checksum=True, place=Place(1), rows=2, unmended=unmended, repair=repair))

    result = folder.fsck("--repair", "--resume")

    assert ("Going on after 2 files." in result.stderr) == bool(rows)
    assert ("is to be mended, too: this one begins at the beginning" in result.stderr) == (not rows)


def test_a_bookmark_that_cannot_be_read_begins_at_the_beginning(folder: Folder) -> None:
    (folder.path / NAME).write_text("{")

    result = folder.fsck("--resume")

    assert "begins at the beginning" in result.stderr
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--refetch"], "--refetch goes with --repair"),
        (["--serverdir", "nowhere"], "contains no devpi-server data"),
    ],
    ids=["refetch alone", "no data"],
)
def test_what_cannot_be_done_is_said(folder: Folder, arguments: list[str], words: str) -> None:
    before = folder.everything()

    result = folder.fsck(*arguments)

    assert result.exit_code == 1
    assert result.stderr.startswith("fatal: ")
    assert words in result.stderr
    assert folder.everything() == before


@pytest.mark.parametrize(("version", "words"), [("0001", "--migrate"), ("0099", "this program knows versions up to")])
def test_a_database_of_another_version_is_not_checked(folder: Folder, version: str, words: str) -> None:
    folder.sql(f"UPDATE alembic_version SET version_num = '{version}'")

    result = folder.fsck()

    assert result.exit_code == 1
    assert words in result.stderr


def test_a_database_with_damaged_pages_is_not_in_order(folder: Folder) -> None:
    folder.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    with (folder.path / "stilton.sqlite").open("r+b") as database:
        size = database.seek(0, os.SEEK_END)
        database.seek(20_000)
        database.write(b"\xa5" * min(3_000, size - 20_000))

    result = folder.fsck()

    assert result.exit_code == 1
    assert "is damaged" in result.stderr
    assert "Restore it from a backup" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--repair"]], ids=["look", "repair"])
def test_a_read_only_disk_is_no_damaged_database(folder: Folder, arguments: list[str]) -> None:
    for beside in folder.path.glob("stilton.sqlite-*"):
        beside.unlink()

    done = mounted(folder.path, read_only(folder.path), "devpi-fsck", "--serverdir", str(folder.path), *arguments)

    assert done.returncode == 1
    assert done.stderr.startswith(f"fatal: The database {folder.path / 'stilton.sqlite'} cannot be opened (")
    assert "is the disk not mounted read-only?" in done.stderr
    assert "damaged" not in done.stderr


def test_a_check_may_take_its_time_beside_a_server_that_works(folder: Folder) -> None:
    """No snapshot stays open while files are read: the write-ahead log does not grow for hours."""
    engine = connect(folder.path / "stilton.sqlite")
    steps = check_from(engine, folder.blobs, Place(), checksum=True, jobs=1)
    next(steps)

    folder.sql("UPDATE users SET keys = keys")
    [(busy, _, _)] = folder.sql("PRAGMA wal_checkpoint(TRUNCATE)")

    assert busy == 0
    assert sum(step.rows for step in steps) == 3
    engine.dispose()

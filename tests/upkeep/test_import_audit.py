"""The audit log moves with a server; that it moved is noted, too."""

import json
from pathlib import Path

import pytest

from stilton.db import audit
from stilton.domain.audit import Entry
from tests.support.builders import an_sdist
from tests.upkeep.dumps import DEV, ADump, a_stage, do_export, do_import, keys_in, reading, with_wheel
from tests.upkeep.test_folders import put


def entries(serverdir: Path) -> list[Entry]:
    """The oldest first."""
    with reading(serverdir) as connection:
        return list(audit.all_entries(connection))


def told(serverdir: Path) -> list[tuple[str, str]]:
    return [(entry.action, entry.target) for entry in entries(serverdir)]


def without_numbers(found: list[Entry]) -> list[tuple[object, ...]]:
    return [(one.at, one.actor, one.address, one.action, one.target, one.detail, one.request) for one in found]


def a_dump(tmp_path: Path) -> Path:
    """Of a server whose log has something to say."""
    assert do_import(tmp_path / "first", with_wheel().write(tmp_path / "theirs")).status == 0
    assert do_import(tmp_path / "first", put(tmp_path / "files", an_sdist("some", "1.0")), "--index", DEV).status == 0
    assert do_export(tmp_path / "first", tmp_path / "dump").status == 0
    return tmp_path / "dump"


def test_an_import_is_noted_once_with_where_from_and_how_much(tmp_path: Path) -> None:
    do_import(tmp_path / "server", with_wheel().write(tmp_path / "theirs"), "--no-root-pypi")

    assert told(tmp_path / "server") == [("import", ""), ("user.create", "root")]
    (first, _) = entries(tmp_path / "server")
    assert (first.actor, first.address) == (None, "command")
    assert first.detail == {"dump": "theirs", "users": 2, "indexes": 1, "files": 1}


def test_files_of_a_folder_are_noted_on_their_index_when_there_are_new_ones(tmp_path: Path) -> None:
    do_import(tmp_path / "server", ADump(indexes={DEV: a_stage()}).write(tmp_path / "theirs"))
    folder = put(tmp_path / "files", an_sdist("some", "1.0"))

    for _ in range(2):
        do_import(tmp_path / "server", folder, "--index", DEV)

    (noted,) = [entry for entry in entries(tmp_path / "server") if entry.target == DEV]
    assert (noted.action, noted.detail) == ("import", {"folder": "files", "layout": "plain", "files": 1})


def test_the_log_of_the_old_server_comes_first_and_unchanged(tmp_path: Path) -> None:
    dump = a_dump(tmp_path)

    done = do_import(tmp_path / "second", dump)

    old, new = entries(tmp_path / "first"), entries(tmp_path / "second")
    assert done.status == 0, done.err
    assert len(old) == 4
    assert without_numbers(new[: len(old)]) == without_numbers(old)
    assert [entry.action for entry in new[len(old) :]] == ["import", "user.create", "index.create"]
    assert new[len(old)].detail["dump"] == "dump"


def test_an_import_that_is_run_again_does_not_take_the_log_twice(tmp_path: Path) -> None:
    dump = a_dump(tmp_path)
    (place,) = dump.rglob("*.whl")
    content = place.read_bytes()
    place.unlink()
    stopped = do_import(tmp_path / "second", dump)
    place.write_bytes(content)

    done = do_import(tmp_path / "second", dump)

    assert (stopped.status, done.status) == (1, 0)
    assert len(entries(tmp_path / "second")) == len(entries(tmp_path / "first")) + 3


@pytest.mark.parametrize("how", ["changed", "missing", "nonsense", "outside"])
def test_a_log_that_is_not_what_was_exported_is_refused_or_left_out(tmp_path: Path, how: str) -> None:
    dump = a_dump(tmp_path)
    log = dump / "+stilton-1" / "audit.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    match how:
        case "changed":
            log.write_bytes(b"".join(lines[1:]))
        case "nonsense":
            log.write_bytes(b"[]\n")
        case "outside":
            log.rename(tmp_path / "elsewhere")
            log.symlink_to(tmp_path / "elsewhere")
        case _:
            log.unlink()

    refused = do_import(tmp_path / "second", dump)
    nothing = not (tmp_path / "second").exists()
    done = do_import(tmp_path / "second", dump, "--keep-going")

    assert (refused.status, nothing) == (1, True)
    assert "the audit log: " in refused.err
    assert done.status == 1
    assert "the audit log: " in done.err
    assert keys_in(tmp_path / "second") is not None
    assert told(tmp_path / "second")[0] == ("import", "")


def test_a_dump_without_a_log_needs_none(tmp_path: Path) -> None:
    dump = a_dump(tmp_path)
    document = json.loads((dump / "dataindex.json").read_text())
    del document["stilton-1"]
    (dump / "dataindex.json").write_text(json.dumps(document))

    done = do_import(tmp_path / "second", dump)

    assert done.status == 0, done.err
    assert told(tmp_path / "second")[0] == ("import", "")

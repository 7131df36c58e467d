"""`devpi-import`: what only our own dumps say, edited by hand: told and left out, never written as it is."""

from pathlib import Path
from typing import Any

import pytest

from stilton.db import inventory
from stilton.domain.names import ProjectName
from tests.upkeep.dumps import DEV, WHEEL, Done, do_import, files_in, reading, with_wheel

GONE = {
    "path": "+f/000/0000000000000/old-1.0.tar.gz", "project": "old", "version": "1.0", "kind": "releasefile",
    "filename": "old-1.0.tar.gz", "digest": "0" * 64, "size": 5, "uploaded_at": 1.0, "gone_at": 2.0, "log": [],
}  # fmt: skip


def imported(tmp_path: Path, ours: dict[str, Any]) -> Done:
    dump = with_wheel()
    dump.indexes[DEV]["stilton-1"] = ours
    return do_import(tmp_path / "server", dump.write(tmp_path / "dump"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": -1}, {"digest": "x"}, {"kind": "strange"}, {"project": "Old"}, {"path": "../old-1.0.tar.gz"},
        {"filename": "other"}, {"gone_at": 1e300}, {"uploaded_at": -1.0}, {"version": "1" * 5_000}, {"version": "1\n"},
    ],
    ids=str,
)  # fmt: skip
def test_a_removed_file_that_cannot_have_been_is_left_out_and_told(tmp_path: Path, wrong: dict[str, Any]) -> None:
    done = imported(tmp_path, {"gone": [{**GONE, **wrong}, GONE]})

    assert done.status == 0, done.err
    assert "notice: ann/dev: that " in done.err
    assert [file.filename for file in files_in(tmp_path / "server") if file.gone_at is not None] == ["old-1.0.tar.gz"]


def test_a_file_that_is_there_is_not_gone_whatever_the_dump_says(tmp_path: Path) -> None:
    imported(tmp_path, {"gone": [{**GONE, "path": WHEEL.path, "filename": WHEEL.filename}]})

    assert [(file.digest, file.gone_at) for file in files_in(tmp_path / "server")] == [(WHEEL.sha256, None)]


@pytest.mark.parametrize("state", [{"status": "odd"}, {"gone_at": -1.0}, {"gone_at": 1e300}], ids=str)
def test_a_project_in_no_state_that_there_is_has_none(tmp_path: Path, state: dict[str, Any]) -> None:
    done = imported(tmp_path, {"projects": {"pkg": state, "../x": {"status": "archived"}}})

    assert done.status == 0, done.err
    assert "notice: ann/dev: the state of 'pkg' is left out: " in done.err
    assert "notice: ann/dev: the state of '../x' is left out: no project is called '../x'" in done.err
    with reading(tmp_path / "server") as connection:
        assert inventory.projects_of(connection, DEV) == [inventory.Listed(ProjectName("pkg"), None, None)]


@pytest.mark.parametrize(
    "extra",
    [
        {"uploaded_at": 1e300}, {"used_at": -1.0}, {"uses": -1}, {"uses": 1 << 60}, {"provenance": "../../canary"}, {"provenance": "/etc/passwd"},
        {"path": f"../{WHEEL.filename}"}, {"path": "+f/a/b/other"}, {"hashes": {"sha256": "../x"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_of_which_that_cannot_be_so_is_listed(tmp_path: Path, extra: dict[str, Any]) -> None:
    dump = with_wheel(**{"stilton-1": extra}).write(tmp_path / "dump")

    refused = do_import(tmp_path / "server", dump)
    nothing = not (tmp_path / "server").exists()
    done = do_import(tmp_path / "server", dump, "--keep-going")

    assert (refused.status, nothing, done.status) == (1, True, 1)
    assert f"{WHEEL.filename}: " in refused.err
    assert files_in(tmp_path / "server") == []


def test_a_second_file_of_one_name_is_listed(tmp_path: Path) -> None:
    dump = with_wheel()
    dump.indexes[DEV]["files"] *= 2

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"), "--keep-going")

    assert done.status == 1
    assert f"{WHEEL.filename}: another file of this name is on the index\n" in done.err
    assert [file.filename for file in files_in(tmp_path / "server")] == [WHEEL.filename]


@pytest.mark.parametrize("where", ["users", "projects", "log"])
def test_a_dump_nested_without_end_is_refused_in_words(tmp_path: Path, where: str) -> None:
    dump = with_wheel()
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    match where:
        case "users":
            dump.users["ann"]["custom_data"] = deep
        case "projects":
            dump.indexes[DEV]["projects"]["pkg"]["1.0"]["strange"] = deep
        case _:
            dump.indexes[DEV]["files"][0]["log"] = [{"what": deep}]

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert done.status == 1
    assert "something in it is nested more than 100 deep" in done.err
    assert not (tmp_path / "server").exists()

"""`devpi cached`: what mirrors keep."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stilton_client.commands.cached import pinned_by_hash
from tests.support.builders import a_wheel, an_sdist
from tests.support.devpi import Client, Yard

ONE, TWO = a_wheel("dep", "1.0"), a_wheel("dep", "2.0")


@pytest.fixture
def filled(devpi: Client) -> Client:
    """Somebody fetched two versions of `dep`, one after the other, and nothing else."""
    devpi.upstream.add("dep", ONE, TWO)
    devpi.upstream.add("other", a_wheel("other", "1.0"))
    for version in ("1.0", "2.0"):
        devpi.lines(f"devpi prime --no-deps --all-files dep=={version}")
    return devpi


def names(found: dict[str, Any]) -> list[str]:
    return [file["path"].rpartition("/")[2] for file in found["files"]]


def test_files_of_the_mirrors_behind_an_index_are_listed(filled: Client) -> None:
    filled.follow(f"""
        $ devpi cached
        last use…
        20…-…-…  …kB  {ONE.filename}…root/pypi…
        20…-…-…  …kB  {TWO.filename}…root/pypi…
        2 files, …kB
        $ devpi cached other
        0 files, 0.0 kB
        $ devpi cached DEP --unused-for 1h
        0 files, 0.0 kB
    """)

    assert names(json.loads("\n".join(filled.lines("devpi cached --json")))) == [ONE.filename, TWO.filename]


def test_a_requirement_file_of_it_fills_another_server(filled: Client, yard: Yard, tmp_path: Path) -> None:
    lines = filled.lines("devpi cached --requirements")
    wanted = tmp_path / "cached.txt"
    wanted.write_text("\n".join(lines))
    yard.send("PUT", "/root/elsewhere", {"type": "mirror", "mirror_url": filled.upstream.url})

    filled.lines(f"devpi prime --index root/elsewhere --no-deps --all-files -r {wanted}")

    assert re.findall(r"sha256:\w+", " ".join(lines)) == [f"sha256:{dist.sha256}" for dist in (ONE, TWO)]
    found = json.loads("\n".join(filled.lines("devpi cached --index root/elsewhere --json")))
    assert sorted(names(found)) == [ONE.filename, TWO.filename]


def test_files_whose_names_say_no_version_are_told() -> None:
    sdist = an_sdist("dep", "1.0")
    files = [
        {"project": "dep", "path": f"+f/abc/0123456789def/{name}", "sha256": digest}
        for name, digest in ((ONE.filename, "b" * 64), (sdist.filename, "a" * 64), ("dep-1.0.win32.exe", "c" * 64))
    ]

    lines, strange = pinned_by_hash(files)

    assert lines == [f"dep==1.0 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}"]
    assert strange == ["dep-1.0.win32.exe"]


def test_a_bad_age_is_refused_by_the_server(devpi: Client) -> None:
    devpi.follow("""
        $ devpi cached --unused-for often
        …unused_for is 'often': it takes days…
        [1]
    """)


def test_an_index_that_is_not_there_is_said(devpi: Client) -> None:
    status, said = devpi.run("devpi cached --index root/nowhere")

    assert status == 1
    assert "root/nowhere" in " ".join(said)

"""`devpi explain`: which index serves a project, which rule keeps others out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.ports import free_port
from stilton_client.commands.explain import Member, Source, change_of, order, parts, reading
from stilton_client.commands.explain import Part as Served
from tests.client.test_manners import on_a_terminal
from tests.client.test_status import a_reply
from tests.support.builders import a_wheel
from tests.support.devpi import Client, Yard
from tests.support.upstream import FakeUpstream, Threaded


def explained(devpi: Client, words: str) -> dict[str, Any]:
    status, lines = devpi.run(f"devpi explain {words} --json")
    answer: dict[str, Any] = json.loads("\n".join(lines))
    assert status == (0 if any(source["files"] for source in answer["sources"]) else 1)
    return answer


def test_a_mirror_serves_what_nobody_hosts(devpi: Client) -> None:
    devpi.follow("""
        $ devpi explain Dep
        dep comes through ME/dev from root/pypi
        index…kind…versions  files  newest  why
        ME/dev…private  0         0              does not host the project
        root/pypi…mirror   2         2      1.5     a mirror, and no private index hosts the project
    """)


def test_a_private_name_keeps_mirrors_out_until_they_are_let_in(devpi: Client) -> None:
    devpi.has(a_wheel("dep", "2.0"))
    devpi.lines("devpi upload --from-dir dist")

    devpi.follow("""
        $ devpi explain dep
        dep comes through ME/dev from ME/dev
        ME/dev…private  1…2.0…hosts the project
        root/pypi…mirror   0…kept out: ME/dev hosts the project, and no mirror_whitelist names it
        root/pypi: If you trust what it has under this name: devpi index ME/dev mirror_whitelist+=dep
        $ devpi index ME/dev mirror_whitelist+=dep
        $ devpi explain dep
        dep comes through ME/dev from ME/dev, then root/pypi
        root/pypi…mirror   2…1.5…lets mirrors in
    """)


def test_a_name_that_is_kept_after_a_removal_is_told_with_the_way_out(devpi: Client) -> None:
    devpi.has(a_wheel("dep", "2.0"))
    devpi.lines("devpi upload --from-dir dist")
    devpi.lines("devpi remove -y dep")

    told = explained(devpi, "dep")

    own, mirror = told["sources"]
    assert own["keeps_name"]
    assert own["change"] == f"To open the name to mirrors again: devpi remove --forget --index {devpi.me}/dev dep"
    assert not mirror["contributes"]


@pytest.mark.parametrize("words", ["dep 1.5", "dep==1.5.0"], ids=["argument", "requirement"])
def test_one_version_counts_alone(devpi: Client, words: str) -> None:
    told = explained(devpi, words)

    assert told["told_by"] == "the server"
    assert [(one["index"], one["versions"], one["files"]) for one in told["sources"]] == [
        (f"{devpi.me}/dev", [], 0),
        ("root/pypi", ["1.5"], 1),
    ]


def test_a_mirror_that_is_asked_itself_serves(devpi: Client) -> None:
    devpi.follow("""
        $ devpi explain dep --index root/pypi
        dep comes through root/pypi from root/pypi
    """)


def test_what_nobody_has_is_told_and_ends_with_1(devpi: Client) -> None:
    devpi.follow("""
        $ devpi explain nothing
        nobody serves nothing through ME/dev
        root/pypi…; it has no file of it
        root/pypi: If it should be there: devpi refresh nothing
        [1]
        $ devpi explain dep 9.9
        nobody serves dep 9.9 through ME/dev
        [1]
    """)


@pytest.mark.parametrize(("columns", "is_table"), [("79", False), ("80", True)])
def test_a_narrow_terminal_gets_lines_and_no_table(devpi: Client, columns: str, *, is_table: bool) -> None:
    status, drawn = on_a_terminal(devpi, "explain", "dep", COLUMNS=columns, NO_COLOR="1")

    lines = [line.rstrip() for line in drawn.splitlines()]
    assert status == 0
    assert any(line.startswith("index ") for line in lines) == is_table
    assert ("  why: does not host the project" in lines) != is_table
    assert ("  newest: 1.5" in lines) != is_table


def test_a_mirror_that_does_not_answer_is_told(devpi: Client, yard: Yard) -> None:
    yard.send("PUT", "/root/gone", {"type": "mirror", "mirror_url": f"http://127.0.0.1:{free_port()}/simple/"})

    devpi.follow("""
        $ devpi index -c over bases=root/gone
        $ devpi explain dep --index over
        nobody serves dep through ME/over
        root/gone…its upstream does not answer
        root/gone: Wait, or see what is wrong: devpi status
        the server says: The project dep does not exist…
        [1]
    """)


def test_the_servers_words_about_a_mirror_are_passed_on(devpi: Client) -> None:
    devpi.lines(f"devpi index -c inside type=mirror mirror_url=http://127.0.0.1:{free_port()}/simple/")

    told = explained(devpi, "public --index inside")

    assert "is not a public address" in told["said"]
    assert told["sources"][0]["files"] == 0


def test_an_index_that_may_not_be_read_is_refused(devpi: Client, yard: Yard, tmp_path: Path) -> None:
    devpi.lines("devpi index dev acl_pkg_read=ME")
    other = yard.client(tmp_path / "other")

    status, lines = other.run(f"devpi explain dep --index {devpi.me}/dev")

    assert status == 1
    assert any("403" in line for line in lines)


def test_for_a_server_that_does_not_explain_the_command_reads(devpi: Client) -> None:
    with Threaded() as old:
        an_old_server(old)
        status, lines = devpi.run(f"devpi explain dep --index {old.url.removesuffix('simple/')}u/dev")

    said = "\n".join(lines)
    assert status == 0, said
    assert "This server does not explain itself" in said
    assert "dep comes through u/dev from u/base" in said
    assert "kept out: u/base hosts the project, and no mirror_whitelist names it" in said


def an_old_server(old: FakeUpstream) -> None:
    api = {"login": "/+login", "authstatus": ["noauth", "", []], "index": "/u/dev"}
    file = {"rel": "releasefile", "href": old.url.removesuffix("simple/") + "u/base/+f/abc/dep-1.0.tar.gz"}
    project = a_reply("projectconfig", {"1.0": {"+links": [file]}})
    old.faults["/u/dev/+api"] = a_reply("apiconfig", api)
    old.faults["/u/dev/dep"] = old.faults["/u/dev/dep/"] = project
    stage = {"type": "stage", "mirror_whitelist": [], "mirror_whitelist_inheritance": "intersection"}
    old.faults["/u/dev"] = a_reply("indexconfig", {**stage, "bases": ["root/pypi", "u/base", "u/gone"], "projects": []})
    old.faults["/u/base"] = a_reply("indexconfig", {**stage, "bases": "", "projects": ["Dep"]})
    old.faults["/root/pypi"] = a_reply("indexconfig", {"type": "mirror"})


def a_stage(index: str, *whitelist: str, hosts: bool = False) -> Member:
    return Member(index, is_mirror=False, hosts=hosts, whitelist=frozenset(whitelist))


MIRROR = Member("root/pypi", is_mirror=True, hosts=False)


@pytest.mark.parametrize(
    ("stages", "inheritance", "lets_in"),
    [
        pytest.param([a_stage("u/a")], "intersection", True, id="nobody hosts"),
        pytest.param([a_stage("u/a", hosts=True)], "intersection", False, id="hosted"),
        pytest.param([a_stage("u/a"), a_stage("u/b", hosts=True)], "intersection", False, id="hosted by a base"),
        pytest.param([a_stage("u/a", "dep", hosts=True)], "intersection", True, id="named"),
        pytest.param([a_stage("u/a", "*", hosts=True)], "intersection", True, id="star"),
        pytest.param([a_stage("u/a", hosts=True), a_stage("u/b", "dep")], "intersection", False, id="only by a base"),
        pytest.param([a_stage("u/a", hosts=True), a_stage("u/b", "dep")], "union", True, id="by a base, with union"),
    ],
)
def test_mirrors_are_let_in_by_the_rules(stages: Sequence[Member], inheritance: str, lets_in: bool) -> None:
    found = reading("dep", [*stages, MIRROR], inheritance=inheritance)

    assert found[-1].contributes is lets_in
    assert [one.contributes for one in found[:-1]] == [stage.hosts for stage in stages]


def test_the_order_is_breadth_first_with_mirrors_last() -> None:
    configs: dict[str, dict[str, Any]] = {
        "u/a": {"bases": ["r/m", "u/b", "u/c", "u/gone"]},
        "u/b": {"bases": ["u/d", "u/a"]},
        "u/c": {},
        "u/d": {},
        "r/m": {"type": "mirror"},
    }

    assert order("u/a", configs) == ["u/a", "u/b", "u/c", "u/d", "r/m"]


def test_files_are_counted_for_the_index_that_serves_them() -> None:
    def link(index: str) -> dict[str, str]:
        return {"rel": "releasefile", "href": f"http://h/x/{index}/+f/a.whl"}

    versions: dict[str, dict[str, Any]] = {
        "1.0": {"+links": [link("u/a"), link("u/a")], "+shadowing": [{"+links": [link("r/m")]}]},
        "2.0": {"+links": [link("r/m")]},
    }

    assert parts(versions, "http://h/x/", None) == {"u/a": Served(["1.0"], 2), "r/m": Served(["2.0", "1.0"], 2)}
    assert parts(versions, "http://h/x/", "1") == {"u/a": Served(["1.0"], 2), "r/m": Served(["1.0"], 1)}


def test_what_serves_needs_no_change() -> None:
    source = Source("u/a", is_mirror=False, contributes=True, why="hosts the project")

    assert change_of(source, Served(["1.0"], 1), None, "dep", "u/a") == ""

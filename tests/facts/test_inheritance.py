"""Who contributes to a project: the rules of inheritance."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilton.domain import inheritance
from stilton.domain.files import File, Project, Status
from stilton.domain.inheritance import Member
from stilton.domain.names import IndexName, ProjectName

PKG = ProjectName("pkg")
NAMES = [IndexName(f"u/{letter}") for letter in "abcdefgh"]


def order(start: str, graph: dict[str, Sequence[str]], mirrors: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]  # an empty set of either kind
    known = {IndexName(name): [IndexName(base) for base in bases] for name, bases in graph.items()}
    return list(inheritance.order(IndexName(start), known.get, lambda name: name in mirrors))


@pytest.mark.parametrize(
    ("graph", "mirrors", "expected"),
    [
        ({"a": []}, set(), ["a"]),
        ({"a": ["b", "c"], "b": ["d"], "c": [], "d": []}, set(), ["a", "b", "c", "d"]),
        ({"a": ["m", "b"], "b": ["n"], "m": [], "n": []}, {"m", "n"}, ["a", "b", "m", "n"]),
        ({"a": ["b"], "b": ["a"]}, set(), ["a", "b"]),
        ({"a": ["a"]}, set(), ["a"]),
        ({"a": ["gone", "b"], "b": []}, set(), ["a", "b"]),
        ({"a": ["b", "c"], "b": ["c"], "c": ["b"]}, set(), ["a", "b", "c"]),
        ({"m": []}, {"m"}, ["m"]),
    ],
)
def test_the_order_is_breadth_first_with_mirrors_last(
    graph: dict[str, Sequence[str]], mirrors: set[str], expected: list[str]
) -> None:
    assert order("a" if "a" in graph else "m", graph, mirrors) == expected


graphs = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4), min_size=1)


@given(graphs, st.sets(st.sampled_from(NAMES)))
def test_every_reachable_index_is_in_the_order_once(
    graph: dict[IndexName, list[IndexName]], mirrors: set[IndexName]
) -> None:
    start = min(graph)

    found = inheritance.order(start, graph.get, lambda name: name in mirrors)

    assert len(set(found)) == len(found)
    assert set(found) <= set(graph)
    kinds = [name in mirrors for name in found]
    assert kinds == sorted(kinds)
    for name in found:
        assert {base for base in graph[name] if base in graph} <= set(found)


def stage(name: str, *, whitelist: Sequence[str] = (), **state: bool) -> Member:
    return Member(index=IndexName(name), is_mirror=False, whitelist=frozenset(whitelist), **state)


def mirror(name: str = "m", *, readable: bool = True) -> Member:
    return Member(index=IndexName(name), is_mirror=True, readable=readable)


def contributors(members: Sequence[Member], mode: str = "intersection") -> list[str]:
    return [source.index for source in inheritance.sources(PKG, members, inheritance=mode) if source.contributes]


@pytest.mark.parametrize(
    ("members", "mode", "expected"),
    [
        # nobody hosts it: mirrors contribute
        ([stage("a"), mirror()], "intersection", ["m"]),
        ([mirror(), mirror("n")], "intersection", ["m", "n"]),
        # hosted anywhere on the way: mirrors are kept out
        ([stage("a", hosts=True), mirror()], "intersection", ["a"]),
        ([stage("a"), stage("b", hosts=True), mirror(), mirror("n")], "intersection", ["b"]),
        # hosted once: the name stays private
        ([stage("a", had=True), mirror()], "intersection", []),
        # whitelisted where it is asked
        ([stage("a", hosts=True, whitelist=["pkg"]), mirror()], "intersection", ["a", "m"]),
        ([stage("a", hosts=True, whitelist=["*"]), mirror()], "intersection", ["a", "m"]),
        ([stage("a", had=True, whitelist=["pkg"]), mirror()], "intersection", ["m"]),
        ([stage("a", hosts=True, whitelist=["other"]), mirror()], "intersection", ["a"]),
        ([stage("a", whitelist=["pkg"]), stage("b", hosts=True), mirror()], "intersection", ["b", "m"]),
        # a base's whitelist opens only with union
        ([stage("a"), stage("b", hosts=True, whitelist=["pkg"]), mirror()], "intersection", ["b"]),
        ([stage("a"), stage("b", hosts=True, whitelist=["pkg"]), mirror()], "union", ["b", "m"]),
        ([stage("a", hosts=True), stage("b", whitelist=["*"]), mirror()], "union", ["a", "m"]),
        # who may not read an index does not get it, nor a stranger's package in its place
        ([stage("a"), stage("b", hosts=True, readable=False), mirror()], "intersection", []),
        ([stage("a"), mirror(readable=False)], "intersection", []),
    ],
)
def test_who_contributes(members: list[Member], mode: str, expected: list[str]) -> None:
    assert contributors(members, mode) == expected


states = st.builds(
    Member,
    index=st.just(IndexName("u/x")),
    is_mirror=st.just(False),  # noqa: FBT003
    hosts=st.booleans(),
    had=st.booleans(),
    readable=st.booleans(),
    whitelist=st.sets(st.sampled_from(["pkg", "other", "*"])).map(frozenset),
)


@given(st.lists(states, max_size=5), st.sampled_from(["intersection", "union"]))
def test_a_private_name_is_let_in_only_by_a_whitelist(members: list[Member], mode: str) -> None:
    found = inheritance.sources(PKG, [*members, mirror()], inheritance=mode)

    hosted = any(member.hosts or member.had for member in members)
    listed = any(member.whitelist & {"pkg", "*"} for member in members)
    assert found[-1].contributes or hosted
    assert not found[-1].contributes or not hosted or listed


@given(st.lists(states, max_size=5))
def test_intersection_never_lets_in_more_than_union(members: list[Member]) -> None:
    every = [*members, mirror()]

    assert set(contributors(every, "intersection")) <= set(contributors(every, "union"))


@given(st.lists(states, max_size=5), st.sampled_from(["intersection", "union"]))
def test_an_index_that_may_not_be_read_is_never_named_to_others(members: list[Member], mode: str) -> None:
    renamed = [
        Member(
            index=IndexName(f"u/{'secret' if not member.readable else 'open'}{n}"), is_mirror=False,
            hosts=member.hosts, had=member.had, readable=member.readable, whitelist=member.whitelist,
        )
        for n, member in enumerate(members)
    ]  # fmt: skip

    found = inheritance.sources(PKG, [*renamed, mirror()], inheritance=mode)

    readable = {member.index for member in renamed if member.readable} | {"m"}
    assert not any("secret" in source.why for source in found if source.index in readable)


def test_the_reason_names_the_index_that_keeps_mirrors_out() -> None:
    found = inheritance.sources(PKG, [stage("a"), stage("b", hosts=True), mirror()], inheritance="intersection")

    assert [source.why for source in found] == [
        "does not host the project",
        "hosts the project",
        "kept out: b hosts the project, and no mirror_whitelist names it",
    ]
    assert inheritance.notes(found) == [
        "b: hosts the project",
        "m: kept out: b hosts the project, and no mirror_whitelist names it",
    ]


def a_project(*filenames: str, status: Status | None = None, serial: int | None = None) -> Project:
    files = tuple(File(filename=name, hashes={"sha256": "0" * 64}) for name in filenames)
    return Project(name=PKG, files=files, versions=("1.0",), status=status, serial=serial)


def test_of_two_files_with_one_name_the_first_counts() -> None:
    own, base = IndexName("u/a"), IndexName("u/b")

    merged = inheritance.merged(PKG, own, [(own, a_project("x-1.whl")), (base, a_project("x-1.whl", "x-2.whl"))])

    assert [(file.filename, file.index) for file in merged.files] == [("x-1.whl", None), ("x-2.whl", base)]
    assert merged.versions == ("1.0",)


def test_upstreams_serial_does_not_pass_and_the_first_status_counts() -> None:
    archived = Status("archived")
    parts = [(IndexName("u/b"), a_project(serial=5)), (IndexName("u/c"), a_project(status=archived))]

    merged = inheritance.merged(PKG, IndexName("u/a"), parts)

    assert (merged.serial, merged.status) == (None, archived)


names = st.lists(st.sampled_from([f"f{n}.whl" for n in range(6)]), unique=True)


@given(st.lists(names, max_size=4))
def test_merging_keeps_every_file_name_once(parts: list[list[str]]) -> None:
    merged = inheritance.merged(PKG, NAMES[0], [(NAMES[n], a_project(*part)) for n, part in enumerate(parts)])

    shown = [file.filename for file in merged.files]
    assert len(set(shown)) == len(shown)
    assert set(shown) == {name for part in parts for name in part}


@given(st.lists(names, min_size=1, max_size=4))
def test_merging_step_by_step_is_merging_at_once(parts: list[list[str]]) -> None:
    placed = [(NAMES[n], a_project(*part)) for n, part in enumerate(parts)]

    at_once = inheritance.merged(PKG, NAMES[0], placed)
    first = inheritance.merged(PKG, NAMES[0], placed[:1])
    stepwise = inheritance.merged(PKG, NAMES[0], [(NAMES[0], first), *placed[1:]])

    assert at_once == stepwise

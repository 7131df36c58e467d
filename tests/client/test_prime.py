"""`devpi prime` against a running server, and what pip and uv get afterwards without a network."""

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from stilton_client import sources, warming
from stilton_client.errors import Failure
from stilton_client.priming import Priming
from stilton_client.session import Session
from stilton_client.targets import native
from stilton_client.terminal import Terminal
from stilton_client.warming import Job
from tests.compat.conftest import installed
from tests.support.builders import Dist, a_wheel, an_sdist
from tests.support.devpi import OURS, ROOT, Client, Yard
from tests.support.server import BIN, Server, a_server, run
from tests.support.upstream import Body, Cut, Drip, Redirect, Status, Threaded


def tagged(dist: Dist, tags: str) -> Dist:
    """The wheel for other machines."""
    return dataclasses.replace(dist, filename=dist.filename.replace("py3-none-any", tags))


def said(lines: list[str]) -> dict[str, object]:
    answer: dict[str, object] = json.loads("\n".join(lines))
    return answer


def names(answer: dict[str, object], key: str = "fetched") -> list[str]:
    found = answer[key]
    assert isinstance(found, list)
    return [each["file"] for each in found]


# -- without a network ----------------------------------------------------------------------------


@dataclasses.dataclass
class Site:
    """A server that always asks upstream first, and an upstream that can be told to go."""

    threaded: Threaded
    server: Server
    devpi: Client


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    threaded = Threaded()
    with threaded as upstream:
        made = run("devpi-init", "--serverdir", str(folder / "s"), "--mirror-url", upstream.url, "--root-passwd", ROOT)
        assert made.returncode == 0, made.stderr
        with a_server(folder / "s", "--mirror-cache-expiry", "0", "--request-timeout", "2") as server:
            devpi = Client(server, upstream, folder)
            devpi.lines("devpi use SERVER/root/pypi")
            yield Site(threaded, server, devpi)


def test_an_interrupted_run_ends_at_once_and_goes_on_when_it_is_run_again(site: Site) -> None:
    slow = a_wheel("slow", "1.0", payload=bytes(500_000))
    quick = a_wheel("quick", "1.0")
    go = asyncio.Event()
    upstream = site.devpi.upstream
    upstream.add("slow", slow)
    upstream.add("quick", quick)
    upstream.faults[f"/files/{slow.filename}"] = [Drip(100_000, go)]
    running = subprocess.Popen(
        [OURS, "prime", "--no-deps", "quick", "slow", "--debug"], cwd=site.devpi.folder, env=site.devpi.env,
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    while f"{slow.filename} -> 200" not in running.stderr.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=10)
    site.threaded.call(release(go))

    again = site.devpi.lines("devpi prime --no-deps quick slow")

    assert (running.returncode, out, err.splitlines()[-1]) == (130, "", "interrupted")
    assert again[-1].startswith("2 files of 2 projects are there")
    assert upstream.count(f"/files/{quick.filename}") == upstream.count(f"/files/{slow.filename}") == 1


async def release(event: asyncio.Event) -> None:
    event.set()


def test_what_was_primed_installs_with_pip_and_uv_when_upstream_is_gone(site: Site) -> None:
    devpi, upstream = site.devpi, site.devpi.upstream
    upstream.add("app", a_wheel("app", "1.0"), a_wheel("app", "2.0", requires=("lib>=1", "other")))
    upstream.add("lib", a_wheel("lib", "1.0"), a_wheel("lib", "1.1", payload=bytes(100_000)))
    upstream.add("other", an_sdist("other", "1.0"), a_wheel("other", "1.0"))
    devpi.follow("""
        $ devpi prime -v app
        filling SERVER/root/pypi for Python … on this platform
        app … app-2.0-py3-none-any.whl …
        lib … lib-1.1-py3-none-any.whl …
        other … other-1.0-py3-none-any.whl …
        3 files of 3 projects are there, 10….… kB
    """)
    seen = len(upstream.seen)
    devpi.lines("devpi prime app")
    again = [path for _, path, _ in upstream.seen[seen:]]
    site.threaded.call(upstream.stop())

    index = ["--index-url", f"{site.server.url}/root/pypi/+simple/", "app"]
    python = sys.executable
    devpi.lines(f"{python} -m pip install --no-cache-dir --target by-pip {' '.join(index)}")
    devpi.lines(f"{BIN / 'uv'} pip install --python {python} --target by-uv {' '.join(index)}")

    assert installed(devpi.folder / "by-pip") == {"app": "2.0", "lib": "1.1", "other": "1.0"}
    assert installed(devpi.folder / "by-uv") == {"app": "2.0", "lib": "1.1", "other": "1.0"}
    assert not [path for path in again if path.startswith("/files/")]


def test_what_an_offline_server_does_not_hold_is_told_in_its_own_words(tmp_path: Path) -> None:
    held, bare = a_wheel("held", "1.0"), a_wheel("bare", "1.0")
    with Threaded() as upstream:
        upstream.add("held", held)
        upstream.add("bare", bare)
        made = run("devpi-init", "--serverdir", str(tmp_path / "s"), "--mirror-url", upstream.url)
        assert made.returncode == 0, made.stderr
        with a_server(tmp_path / "s") as server:
            devpi = Client(server, upstream, tmp_path)
            devpi.lines("devpi prime --no-deps held --index SERVER/root/pypi")
            server.get("/root/pypi/+simple/bare/")
    with a_server(tmp_path / "s", "--offline-mode") as server:
        offline = Client(server, upstream, tmp_path)

        status, lines = offline.run("devpi prime --no-deps held bare never --index SERVER/root/pypi --json")

    answer = said(lines)
    assert (status, names(answer)) == (1, [held.filename])
    failed = answer["failed"]
    assert isinstance(failed, list)
    assert [each["what"] for each in failed] == ["bare", "never"]
    assert all(each["why"].startswith("offline mode: ") for each in failed), failed


# -- names and requirement files ------------------------------------------------------------------


def test_another_python_and_platform_get_what_their_own_markers_want(devpi: Client, yard: Yard) -> None:
    wanted = ("dep", "wincolor; sys_platform == 'win32'", "former; python_version < '3.9'", "unix; os_name == 'posix'")
    yard.upstream.add("marked", a_wheel("marked", "1.0", requires=wanted))
    for name in ("wincolor", "former", "unix"):
        yard.upstream.add(name, a_wheel(name, "1.0"))

    windows = said(devpi.lines("devpi prime marked --python 3.12 --platform windows --json"))
    old = said(devpi.lines("devpi prime marked --python 3.8 --platform macos --json"))

    assert names(windows) == [
        "dep-1.5-py3-none-any.whl",
        "marked-1.0-py3-none-any.whl",
        "wincolor-1.0-py3-none-any.whl",
    ]
    assert names(old)[1:] == ["former-1.0-py3-none-any.whl", "marked-1.0-py3-none-any.whl", "unix-1.0-py3-none-any.whl"]


def test_each_age_of_machine_gets_the_wheel_that_it_would_take(devpi: Client, yard: Yard) -> None:
    tags = [
        "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp312-cp312-manylinux_2_28_x86_64",
        "cp312-cp312-manylinux_2_34_x86_64",
        "cp312-cp312-musllinux_1_2_x86_64",
        "cp312-cp312-win_amd64",
        "cp311-cp311-manylinux_2_28_x86_64",
    ]
    wheels = [tagged(a_wheel("native", "1.0", payload=tag.encode()), tag) for tag in tags]
    yard.upstream.add("native", *wheels)

    linux = said(devpi.lines("devpi prime native --python 3.12 --platform linux --json"))
    raw = said(devpi.lines("devpi prime native --python 3.12 --platform manylinux2014_x86_64 --json"))
    both = said(
        devpi.lines("devpi prime native --python 3.12 --platform windows --platform musllinux --dry-run --json")
    )
    every = said(devpi.lines("devpi prime native --python 3.12 --platform linux --all-files --json"))

    assert names(linux) == [wheels[1].filename, wheels[2].filename]
    assert names(raw) == [wheels[0].filename]
    assert (names(both), names(both, "would_fetch")) == ([], [wheels[3].filename, wheels[4].filename])
    assert set(names(every)) == {wheel.filename for wheel in wheels}


def test_what_cannot_be_had_is_told_and_the_rest_is_there(devpi: Client, yard: Yard) -> None:
    yard.upstream.add("picky", tagged(a_wheel("picky", "1.0"), "cp312-cp312-win_amd64"))

    devpi.follow("""
        $ devpi prime --no-deps dep no-such==1 dep==9 picky --python 3.12 --platform macos
        1 file of 1 project is there, …
        could not be had … why
        dep==9 … no such version
        no-such … The project no-such does not exist on ME/dev.
        picky … no wheel for Python 3.12 on macos-arm64, and no sdist
        [1]
    """)


def test_a_target_that_cannot_be_resolved_keeps_no_other_from_being_filled(devpi: Client, yard: Yard) -> None:
    yard.upstream.add("winonly", tagged(a_wheel("winonly", "1.0"), "py3-none-win_amd64"))

    devpi.follow("""
        $ devpi prime -v winonly --python 3.12 --platform windows --platform macos
        winonly … winonly-1.0-py3-none-win_amd64.whl …
        1 file of 1 project …
        what is needed for Python 3.12 on macos-arm64 … Could not find a version that satisfies the requirement winonly …
        [1]
    """)


def test_a_conflict_is_told_in_pips_own_words(devpi: Client, yard: Yard) -> None:
    yard.upstream.add("first", a_wheel("first", "1.0", requires=("dep<1.5",)))
    yard.upstream.add("second", a_wheel("second", "1.0", requires=("dep>=1.5",)))

    devpi.follow("""
        $ devpi prime first second
        0 files of 0 projects …
        what is needed for … Cannot install first==1.0 and second==1.0 because these package versions have conflicting …
        [1]
    """)


def test_requirement_files_are_resolved_with_all_that_is_in_them(devpi: Client, yard: Yard) -> None:
    local = devpi.folder / "local"
    local.mkdir()
    wheel = a_wheel("local", "1.0", requires=("dep",))
    (local / wheel.filename).write_bytes(wheel.content)
    pinned = a_wheel("pinned", "1.0")
    yard.upstream.add("pinned", pinned, a_wheel("pinned", "2.0"))
    (devpi.folder / "limits.txt").write_text("dep<1.5\n")
    (devpi.folder / "more.txt").write_text("pinned==1.0  # not 2.0\n")
    (devpi.folder / "requirements.txt").write_text(
        f"-c limits.txt\n-r more.txt\n./local/{wheel.filename}\nunknown; python_version < '3'\n"
    )

    devpi.follow("""
        $ devpi prime -v requirements.txt
        dep … dep-1.0-py3-none-any.whl …
        pinned … pinned-1.0-py3-none-any.whl …
        2 files of 2 projects are there, …
        not from an index: local (file://…)
    """)
    alone = said(devpi.lines("devpi prime --no-deps -r more.txt -r requirements.txt dep --json"))

    assert names(alone) == ["dep-1.0-py3-none-any.whl", "pinned-1.0-py3-none-any.whl"]


def test_hashes_in_a_requirement_file_choose_the_files(devpi: Client, yard: Yard) -> None:
    wheel, sdist = a_wheel("hashed", "1.0"), an_sdist("hashed", "1.0")
    yard.upstream.add("hashed", wheel, sdist)
    (devpi.folder / "sdist.txt").write_text(f"hashed==1.0 \\\n    --hash=sha256:{sdist.sha256}\n")
    (devpi.folder / "wrong.txt").write_text(f"hashed==1.0 --hash=sha256:{'0' * 64}\n")

    devpi.follow("""
        $ devpi prime --no-deps -v -r sdist.txt
        hashed … hashed-1.0.tar.gz …
        warning: hashed-1.0.tar.gz will have to be built: name what builds it, too …
        $ devpi prime --no-deps -r wrong.txt
        hashed==1.0 … no file with a locked hash
        [1]
    """)


@pytest.mark.parametrize(
    "line", ["--index-url http://x.invalid/simple", "--extra-index-url=http://x.invalid", "--no-index"]
)
def test_a_requirement_file_that_names_another_index_is_refused(devpi: Client, yard: Yard, line: str) -> None:
    (devpi.folder / "inner.txt").write_text(f"# ours\n{line}\ndep\n")
    (devpi.folder / "requirements.txt").write_text("-r inner.txt\n")
    before = len(yard.upstream.seen)

    status, lines = devpi.run("devpi prime requirements.txt")

    assert status == 1
    assert lines[0].startswith("inner.txt, line 2: ")
    assert lines[1].startswith("Take the line out; ")
    assert len(yard.upstream.seen) == before


def test_a_requirement_file_may_name_the_index_itself(devpi: Client) -> None:
    (devpi.folder / "r.txt").write_text(f"-i {devpi.server.url}/{devpi.me}/dev/+simple/\ndep\n")

    assert names(said(devpi.lines("devpi prime -r r.txt --json"))) == ["dep-1.5-py3-none-any.whl"]


# -- lock files -----------------------------------------------------------------------------------


def test_a_lock_file_is_filled_for_each_target_with_the_locked_files_only(devpi: Client, yard: Yard) -> None:
    pure, sdist, other = a_wheel("locked", "1.0"), an_sdist("locked", "1.0"), a_wheel("locked", "2.0")
    win, mac = (tagged(a_wheel("twice", "1.0", payload=tag.encode()), tag) for tag in ("py3-none-win_amd64", "py3-none-macosx_11_0_arm64"))  # fmt: skip
    late = tagged(a_wheel("twice", "1.0", payload=b"later"), "py3-none-macosx_12_0_arm64")
    yard.upstream.add("locked", pure, sdist, other)
    yard.upstream.add("twice", win, mac, late)
    (devpi.folder / "uv.lock").write_text(
        uv_lock(
            devpi, {"locked": (pure, sdist), "twice": (win, mac)}, {"locked": "", "twice": "sys_platform != 'linux'"}
        )
    )
    before = len(yard.upstream.seen)

    answer = said(devpi.lines("devpi prime uv.lock --python 3.12 --platform linux --platform macos --json"))

    assert names(answer) == [pure.filename, mac.filename]
    got = {path.rpartition("/")[2] for _, path, _ in yard.upstream.seen[before:] if path.startswith("/files/")}
    assert {name for name in got if not name.endswith(".metadata")} == {pure.filename, mac.filename}


def test_of_a_lock_file_each_package_that_cannot_be_had_is_told(devpi: Client, yard: Yard) -> None:
    yard.upstream.add("swapped", a_wheel("swapped", "1.0", payload=b"another"))
    yard.upstream.add("bare", tagged(a_wheel("bare", "1.0"), "py3-none-win_amd64"))
    yard.upstream.add("gone", a_wheel("gone", "2.0"))
    packages = {
        "swapped": (a_wheel("swapped", "1.0"),),
        "bare": (tagged(a_wheel("bare", "1.0"), "py3-none-win_amd64"),),
        "gone": (a_wheel("gone", "1.0"),),
        "never": (a_wheel("never", "1.0"),),
    }
    (devpi.folder / "uv.lock").write_text(uv_lock(devpi, packages, dict.fromkeys(packages, "")))

    devpi.follow("""
        $ devpi prime uv.lock --python 3.12 --platform macos
        0 files of 0 projects are there, …
        bare 1.0 … no wheel for Python 3.12 on macos-arm64, and no sdist
        gone 1.0 … no such version
        never … The project never does not exist on ME/dev.
        swapped 1.0 … no file with a locked hash
        [1]
    """)


def test_a_lock_of_uv_itself_is_read(devpi: Client, yard: Yard) -> None:
    yard.upstream.add("outer", a_wheel("outer", "1.0", requires=("dep", "tint; sys_platform == 'win32'")))
    yard.upstream.add("tint", a_wheel("tint", "1.0"))
    project = devpi.folder / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["outer"]\n'
        f'[[tool.uv.index]]\nurl = "{devpi.server.url}/{devpi.me}/dev/+simple/"\ndefault = true\n'
    )
    made = subprocess.run(
        [BIN / "uv", "lock", "--python", sys.executable], cwd=project, capture_output=True, text=True,
        check=False, env={**devpi.env, "UV_NO_CONFIG": "0"},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr

    here = said(devpi.lines("devpi prime project/uv.lock --platform linux --json"))
    windows = said(devpi.lines("devpi prime project/uv.lock --platform windows --json"))
    python = devpi.run("devpi prime project/uv.lock --python 3.10")

    assert names(here) == ["dep-1.5-py3-none-any.whl", "outer-1.0-py3-none-any.whl"]
    assert names(windows) == [*names(here), "tint-1.0-py3-none-any.whl"]
    assert python[0] == 1
    assert python[1][-1].endswith("it is for Python >=3.11")


def uv_lock(devpi: Client, packages: Mapping[str, tuple[Dist, ...]], needed: dict[str, str]) -> str:
    """What uv would write of a project that needs these packages, with their markers."""
    registry = f'source = {{ registry = "{devpi.server.url}/simple" }}'
    edges = ", ".join(
        f'{{ name = "{name}"' + (f', marker = "{marker}"' if marker else "") + " }" for name, marker in needed.items()
    )
    text = f'version = 1\n[[package]]\nname = "mine"\nsource = {{ virtual = "." }}\ndependencies = [{edges}]\n'
    for name, dists in packages.items():
        listed: dict[bool, list[str]] = {True: [], False: []}
        for dist in dists:
            listed[dist.filename.endswith(".whl")].append(
                f'{{ url = "https://x.invalid/{dist.filename}", hash = "sha256:{dist.sha256}" }}'
            )
        text += f'[[package]]\nname = "{name}"\nversion = "1.0"\n{registry}\nwheels = [{", ".join(listed[True])}]\n'
        text += "".join(f"sdist = {sdist}\n" for sdist in listed[False])
    return text


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("uv.lock", "version = 2\n", "uv.lock is not understood: its version is 2, only 1 is known here"),
        ("uv.lock", "[[package]]\n", "uv.lock is not understood: its version is None, only 1 is known here"),
        ("uv.lock", "version = 1\n", "uv.lock has no packages"),
        ("poetry.lock", "package = []\n", "poetry.lock has no packages"),
        ("Pipfile.lock", '{"_meta": {"a": 1}, "default": {}}', "Pipfile.lock has no packages"),
    ],
    ids=["newer", "unversioned", "empty", "poetry", "pipenv"],
)
def test_a_lock_file_with_nothing_that_is_known_is_an_error(devpi: Client, name: str, text: str, why: str) -> None:
    (devpi.folder / name).write_text(text)

    status, lines = devpi.run(f"devpi prime {name}")

    assert (status, lines[0]) == (1, why)


@pytest.mark.parametrize("name", ["requirements.txt", "sub/dev.in", "pylock.toml", "uv.lock"])
def test_a_name_that_is_meant_as_a_file_is_not_asked_for(devpi: Client, yard: Yard, name: str) -> None:
    before = len(yard.upstream.seen)

    status, lines = devpi.run(f"devpi prime {name}")

    assert (status, lines[0]) == (1, f"{name}: no such file")
    assert len(yard.upstream.seen) == before


# -- faults ---------------------------------------------------------------------------------------


def test_a_file_that_upstream_has_lost_or_changed_is_told(devpi: Client, yard: Yard) -> None:
    lost, changed = a_wheel("lost", "1.0"), a_wheel("changed", "1.0")
    yard.upstream.add("lost", lost)
    yard.upstream.add("changed", changed)
    yard.upstream.faults[f"/files/{lost.filename}"] = Status(404)
    yard.upstream.faults[f"/files/{changed.filename}"] = Body(a_wheel("changed", "1.0", payload=b"x").content)

    status, lines = devpi.run("devpi prime --no-deps lost changed dep --json")

    answer = said(lines)
    assert (status, names(answer)) == (1, ["dep-1.5-py3-none-any.whl"])
    failed = answer["failed"]
    assert isinstance(failed, list)
    assert {each["what"] for each in failed} >= {lost.filename, changed.filename}


def test_a_transfer_that_breaks_off_is_tried_again(devpi: Client, yard: Yard) -> None:
    big = a_wheel("big", "1.0", payload=bytes(300_000))
    yard.upstream.add("big", big)
    yard.upstream.faults[f"/files/{big.filename}"] = [Cut(100_000)]

    devpi.follow("""
        $ devpi prime --no-deps big
        1 file of 1 project is there, 30….… kB
    """)


def test_a_server_that_is_gone_is_told_once(devpi: Client) -> None:
    status, lines = devpi.run("devpi prime --index http://127.0.0.1:1/root/pypi dep")

    assert (status, len(lines)) == (1, 2)
    assert "could not connect" in lines[0]


def test_a_page_that_the_server_cannot_have_now_keeps_no_other_from_being_filled(tmp_path: Path) -> None:
    session = Session(Terminal({}), tmp_path, {}, tmp_path)
    with Threaded() as index:
        index.add("well", a_wheel("well", "1.0"))
        index.faults["/simple/ill/"] = Status(500)
        priming = Priming(session, index.url, [native()], 2)

        wishes = priming.wishes(sources.read(["ill", "well"], [], tmp_path, index.url), deps=False)
        none = priming.wishes(sources.read(["ill"], [], tmp_path, index.url), deps=True)

    assert [wish.file.filename for wish in wishes] == ["well-1.0-py3-none-any.whl"]
    assert none == []
    assert list(priming.lacks) == [("ill", "500 Internal Server Error")]


def test_a_file_that_the_server_sends_elsewhere_for_is_not_there(tmp_path: Path) -> None:
    dist = a_wheel("moved", "1.0")
    with Threaded() as elsewhere, Threaded() as index:
        elsewhere.add("moved", dist)
        index.faults["/files/x.whl"] = Redirect(elsewhere.file_url(dist))
        index.faults["/files/y.whl"] = Body(dist.content)
        jobs = [
            Job(f"http://127.0.0.1:{index.port}/files/x.whl", "x.whl"),
            Job(f"http://127.0.0.1:{index.port}/files/y.whl", "y.whl", frozenset({"sha256:00", "sha999:11"})),
        ]
        session = Session(Terminal({}), tmp_path, {}, tmp_path)

        found = {read.job.name: read.failure for read in warming.files(session, jobs, None, 1)}

    assert found == {
        "x.whl": "the server keeps no copy, it sends to 127.0.0.1",
        "y.whl": "its sha256 is not the one that was promised",
    }


def test_a_page_that_is_none_ends_it(tmp_path: Path) -> None:
    session = Session(Terminal({}), tmp_path, {}, tmp_path)
    with Threaded() as index:
        index.faults["/simple/pkg/"] = Body(b"[]", "application/vnd.pypi.simple.v1+json")

        with pytest.raises(Failure, match="the page is not understood"):
            warming.pages(session, index.url, ["pkg"], 1)


# -- logins and resolvers -------------------------------------------------------------------------


def test_a_private_index_is_filled_by_those_who_may_read_it(devpi: Client) -> None:
    devpi.has(a_wheel("secret", "1.0", requires=("dep",)))
    devpi.lines("devpi upload --from-dir dist")
    devpi.lines("devpi index dev acl_pkg_read=ME")

    auth = (devpi.folder / ".devpi" / "client" / "auth.json").read_text()
    mine = devpi.lines("devpi prime -v --debug secret")
    devpi.lines("devpi logoff")
    status, theirs = devpi.run("devpi prime secret")

    (token,) = [pair[1] for pair in json.loads(auth)["auth"][f"{devpi.server.url}/"]]
    assert token not in "\n".join(mine)
    assert mine[-1].startswith("2 files of 2 projects are there")
    assert status == 1
    assert "devpi login" in theirs[-1]


def test_uv_resolves_where_there_is_no_pip(devpi: Client, yard: Yard) -> None:
    wanted = ("dep<1.5", "uvwin; sys_platform == 'win32'")
    yard.upstream.add("uvapp", a_wheel("uvapp", "1.0", requires=wanted))
    yard.upstream.add("uvwin", a_wheel("uvwin", "1.0"))
    python = a_python_without_pip(devpi.folder)
    (devpi.folder / "r.txt").write_text("uvapp[extra]\n")

    prime = f"{python} -m stilton_client prime --json"
    path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    here = said(devpi.lines(f"{prime} -r r.txt", **path))
    windows = said(devpi.lines(f"{prime} uvapp --platform windows", **path))
    status, lines = devpi.run(f"{prime} uvapp dep==1.5", **path)
    neither = devpi.run(f"{prime} uvapp", PATH=str(devpi.folder))

    assert names(here) == ["dep-1.0-py3-none-any.whl", "uvapp-1.0-py3-none-any.whl"]
    assert names(windows) == [*names(here), "uvwin-1.0-py3-none-any.whl"]
    assert status == 1
    assert "unsatisfiable" in "\n".join(lines)
    assert neither[0] == 1
    assert "There is neither pip nor uv" in "\n".join(neither[1])


def a_python_without_pip(folder: Path) -> Path:
    """A Python that has all of ours but pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "bare"], check=True)
    site = next((folder / "bare").glob("lib/*/site-packages"))
    for path in Path(pytest.__file__).parents[1].iterdir():
        if path.name not in ("pip", "__pycache__") and not path.name.startswith("pip-"):
            (site / path.name).symlink_to(path)
    return folder / "bare" / "bin" / "python"

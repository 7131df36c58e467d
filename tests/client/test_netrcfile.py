"""The login that pip and uv are lent: in a file that only the person can read, and on no command line at all."""

import contextlib
import io
import json
import netrc
import sys
import tarfile
import threading
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stilton_client import netrcfile
from stilton_client.errors import Failure
from tests.compat.conftest import installed
from tests.support.builders import Dist, metadata_of
from tests.support.devpi import Client
from tests.support.server import BIN

URL = "http://index.example:3141/a/dev/+simple/"
BACKEND = """\
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "built-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as archive:
        archive.writestr("built-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: built\\nVersion: 1.0\\n")
        archive.writestr("built-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr("built-1.0.dist-info/RECORD", "")
    return name
"""
PYPROJECT = '[build-system]\nrequires = ["tinyback"]\nbuild-backend = "tinyback"\n'


def a_backend() -> Dist:
    metadata = metadata_of("tinyback", "1.0")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("tinyback.py", BACKEND)
        archive.writestr("tinyback-1.0.dist-info/METADATA", metadata)
        archive.writestr(
            "tinyback-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tinyback-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in archive.namelist()))
    return Dist("tinyback-1.0-py3-none-any.whl", out.getvalue(), metadata)


def sources() -> Dist:
    """They are built by a backend that only the index has."""
    metadata = metadata_of("built", "1.0")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in {"PKG-INFO": metadata, "pyproject.toml": PYPROJECT.encode()}.items():
            info = tarfile.TarInfo(f"built-1.0/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return Dist("built-1.0.tar.gz", out.getvalue(), metadata)


@pytest.fixture
def private(devpi: Client) -> Client:
    """With sources and their backend on an index that only its user reads, and a folder for temporary files."""
    devpi.has(a_backend(), sources())
    devpi.lines("devpi upload --from-dir dist")
    devpi.lines("devpi index dev acl_pkg_read=ME")
    (devpi.folder / "tmp").mkdir()
    return devpi


def token(devpi: Client) -> str:
    auth = json.loads((devpi.folder / ".devpi" / "client" / "auth.json").read_text())
    return str(next(iter(auth["auth"].values()))[0][1])


@contextlib.contextmanager
def watched() -> Iterator[set[str]]:
    """The command lines of all processes of the machine, as anybody on it sees them."""
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="command lines of others are not in /proc here")
@pytest.mark.parametrize("command", ["install", "prime"])
def test_no_command_line_shows_the_login_while_sources_of_a_private_index_are_built(
    private: Client, command: str
) -> None:
    (private.folder / "bin").mkdir()
    pip = private.folder / "bin" / "pip"
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip --disable-pip-version-check "$@"\n')
    pip.chmod(0o755)
    path = f"{pip.parent}:/usr/bin:/bin"

    with watched() as seen:
        lines = private.lines(
            f"devpi {command} built",
            PATH=path,
            TMPDIR=str(private.folder / "tmp"),
            PIP_TARGET=str(private.folder / "to"),
        )

    assert [line for line in seen if " -i " in line and line.endswith(" tinyback ")], seen
    assert not [line for line in seen if token(private) in line]
    assert command == "prime" or installed(private.folder / "to") == {"built": "1.0"}
    assert command == "install" or lines[-1].startswith("1 file of 1 project is there")
    assert list((private.folder / "tmp").iterdir()) == []


def test_uv_builds_sources_of_a_private_index(private: Client) -> None:
    lines = private.lines(
        "devpi install built --venv venv", PATH=f"{a_venv(private)}:/usr/bin:/bin", TMPDIR=str(private.folder / "tmp")
    )

    assert installed(next(private.folder.glob("venv/lib/*/site-packages"))) == {"built": "1.0"}
    assert token(private) not in "\n".join(lines)
    assert list((private.folder / "tmp").iterdir()) == []


def test_the_persons_own_logins_stay_but_for_the_host_of_the_index(tmp_path: Path) -> None:
    own = "machine other login me password mine\nmachine index.example login old password older"
    (tmp_path / ".netrc").write_text(own)
    (tmp_path / "named").write_text("default login anybody password any")

    with netrcfile.written(URL, ("a", "secret"), {"HOME": str(tmp_path)}) as added:
        hosts = netrc.netrc(added["NETRC"]).hosts
    with netrcfile.written(URL, ("a", "secret"), {"HOME": str(tmp_path), "NETRC": str(tmp_path / "named")}) as more:
        named = netrc.netrc(more["NETRC"]).hosts

    assert hosts == {"other": ("me", "", "mine"), "index.example": ("a", "", "secret")}
    assert named == {"default": ("anybody", "", "any"), "index.example": ("a", "", "secret")}
    assert not Path(added["NETRC"]).parent.exists()
    assert (tmp_path / ".netrc").read_text() == own


def test_a_file_of_the_person_that_nobody_understands_does_not_take_the_login_along(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine other password")

    with netrcfile.written(URL, ("a", "secret"), {"HOME": str(tmp_path)}) as added:
        hosts = netrc.netrc(added["NETRC"]).hosts

    assert hosts == {"index.example": ("a", "", "secret")}


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("a@b.example", "p:w/#'%"),
        ("a", "#1"),
        ("a", "'1"),
        ("a b", 'say "so" \\ again'),
        ("a", "sch\u00fctz"),
        ("t", ""),
    ],
    ids=["signs", "hash", "apostrophe", "quoted", "umlaut", "empty"],
)
def test_what_netrc_can_carry_arrives(user: str, password: str, tmp_path: Path) -> None:
    with netrcfile.written(URL, (user, password), {"HOME": str(tmp_path)}) as added:
        found = netrc.netrc(added["NETRC"]).authenticators("index.example")

    assert found == (user, "", password)


@pytest.mark.parametrize("password", ["two\nlines", "tab\t", "nul\0"], ids=["line", "tab", "nul"])
def test_a_login_that_netrc_cannot_carry_is_refused_without_being_told(password: str, tmp_path: Path) -> None:
    with (
        pytest.raises(Failure, match=r"the login for index\.example has a character") as refused,
        netrcfile.written(URL, ("a", password), {"HOME": str(tmp_path)}),
    ):
        pass

    assert password not in f"{refused.value.what}{refused.value.advice}"


def test_a_host_is_named_in_all_the_ways_that_readers_look_for_it(tmp_path: Path) -> None:
    with netrcfile.written("http://[::1]:3141/", ("a", "b"), {"HOME": str(tmp_path)}) as six:
        numbers = netrc.netrc(six["NETRC"]).hosts
    with netrcfile.written("http://Index.Example/", ("a", "b"), {"HOME": str(tmp_path)}) as mixed:
        names = netrc.netrc(mixed["NETRC"]).hosts
    with netrcfile.written(URL, None, {"HOME": str(tmp_path)}) as none:
        pass

    assert set(numbers) == {"::1", "[::1]"}
    assert set(names) == {"index.example", "Index.Example"}
    assert none == {}


def a_venv(devpi: Client) -> Path:
    """An environment without pip; the folder where only uv is."""
    venv.create(devpi.folder / "venv", with_pip=False)
    (devpi.folder / "bin").mkdir()
    (devpi.folder / "bin" / "uv").symlink_to(BIN / "uv")
    return devpi.folder / "bin"

"""`devpi upload` against a running server: what is sent, what is not, and what is told."""

import dataclasses
import http.client
import http.server
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stilton_client import building, projectconfig
from stilton_client.commands import upload
from stilton_client.errors import Failure
from stilton_client.terminal import Terminal
from tests.client.test_manners import on_a_terminal
from tests.support.builders import Dist, a_wheel, an_sdist
from tests.support.deadline import until
from tests.support.devpi import OURS, Client, a_doc_zip
from tests.support.publish import PASSWORD, basic

BACKEND = """\
import io, os, tarfile, zipfile
METADATA = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n"
INFO = "tiny-1.0.dist-info/"
FILES = {
    "tiny.py": "x = 1\\n",
    INFO + "METADATA": METADATA,
    INFO + "WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}

def build_wheel(folder, config_settings=None, metadata_directory=None):
    print("made in", os.getcwd(), sorted(name for name in os.listdir(".") if name != "__pycache__"))
    name = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for member, text in FILES.items():
            archive.writestr(member, text)
        archive.writestr(INFO + "RECORD", "".join(f"{member},,\\n" for member in [*FILES, INFO + "RECORD"]))
    return name

def build_sdist(folder, config_settings=None):
    name = "tiny-1.0.tar.gz"
    with tarfile.open(os.path.join(folder, name), "w:gz") as archive:
        info = tarfile.TarInfo("tiny-1.0/PKG-INFO")
        info.size = len(METADATA)
        archive.addfile(info, io.BytesIO(METADATA.encode()))
        for member in ("backend.py", "pyproject.toml"):
            archive.add(member, f"tiny-1.0/{member}")
    return name
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
WHEEL, SDIST = "tiny-1.0-py3-none-any.whl", "tiny-1.0.tar.gz"
FORWARDED = ("X-Devpi-Auth", "Content-Type", "Content-Length", "Accept", "Host")


class Gate:
    """Stands before the server. `faults`: what the next uploads meet: a status, one with a reason, "drop". `posts`: sizes of uploads."""

    def __init__(self, port: int) -> None:
        self.faults: list[int | str | tuple[int, str]] = []
        self.posts: list[int] = []
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(port))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "Gate":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _handler(self, port: int) -> type[http.server.BaseHTTPRequestHandler]:
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._pass_on(b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path != "/+login":
                    gate.posts.append(len(body))
                    fault = gate.faults.pop(0) if gate.faults else None
                    if isinstance(fault, int):
                        return self._answer((fault,), {"Retry-After": "0"}, b"")
                    if isinstance(fault, tuple):
                        return self._answer(fault, {"Location": "http://elsewhere.example/"}, b"")
                    if fault:
                        self.connection.close()
                        return None
                return self._pass_on(body)

            def _pass_on(self, body: bytes) -> None:
                server = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                headers = {name: self.headers[name] for name in FORWARDED if name in self.headers}
                server.request(self.command, self.path, body, headers)
                reply = server.getresponse()
                self._answer((reply.status,), {"Content-Type": reply.headers["Content-Type"] or ""}, reply.read())
                server.close()

            def _answer(self, status: tuple[Any, ...], headers: dict[str, str], body: bytes) -> None:
                self.send_response(*status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
                pass

        return Handler


@pytest.fixture
def gate(devpi: Client) -> Iterator[Gate]:
    """The client uses the server through it."""
    with Gate(devpi.server.port) as made:
        devpi.lines(f"devpi use {made.url}/ME/dev")
        devpi.lines(f"devpi login ME --password '{PASSWORD}'")
        yield made


def files(devpi: Client, index: str = "dev") -> dict[str, str]:
    """What an index has: name and sha256 of each file."""
    config = devpi.get(f"/{devpi.me}/{index}")
    links = [
        link
        for project in config["projects"]
        for release in devpi.get(f"/{devpi.me}/{index}/{project}?ignore_bases").values()
        for link in release["+links"]
    ]
    return {link["href"].rpartition("/")[2]: link["hashes"]["sha256"] for link in links}


def document(devpi: Client, command: str, status: int = 0) -> list[tuple[str, str]]:
    """Name and status of each file, as `--json` tells them; nothing else is on standard output."""
    done = subprocess.run(
        [OURS, *command.split()[1:], "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd=devpi.folder, env=devpi.env, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == status
    said = json.loads(done.stdout)
    assert said["index"].endswith(f"/{devpi.me}/{'prod' if 'prod' in command else 'dev'}")
    return [(file["file"], file["status"]) for file in said["files"]]


# -- files ----------------------------------------------------------------------------------------


def test_files_are_uploaded_once(devpi: Client) -> None:
    wheel, sdist = a_wheel("pkg", "1.0", requires=("dep",)), an_sdist("pkg", "1.0")
    devpi.has(wheel, sdist)

    devpi.follow("""
        $ devpi upload --dry-run --from-dir dist
        skipped: file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        skipped: file_upload of pkg-1.0.tar.gz to SERVER/ME/dev/
    """)
    assert files(devpi) == {}
    devpi.follow("""
        $ devpi upload dist/pkg-1.0.tar.gz dist/pkg-1.0-py3-none-any.whl dist/pkg-1.0.tar.gz
        file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        file_upload of pkg-1.0.tar.gz to SERVER/ME/dev/
        $ devpi upload --from-dir dist
        already there: pkg-1.0-py3-none-any.whl
        already there: pkg-1.0.tar.gz
        $ devpi upload --index prod dist/pkg-1.0.tar.gz
        file_upload of pkg-1.0.tar.gz to SERVER/ME/prod/
    """)

    assert files(devpi) == {wheel.filename: wheel.sha256, sdist.filename: sdist.sha256}
    assert files(devpi, "prod") == {sdist.filename: sdist.sha256}
    assert devpi.get(f"/{devpi.me}/dev/pkg/1.0")["requires_dist"] == ["dep"]


def test_what_is_there_already_is_not_sent(devpi: Client, gate: Gate) -> None:
    devpi.has(a_wheel(payload=bytes(500_000)), an_sdist())
    devpi.lines("devpi upload --from-dir dist")

    first = list(gate.posts)
    lines = devpi.lines("devpi upload --from-dir dist")

    assert len(first) == 2
    assert gate.posts == first
    assert lines == ["already there: pkg-1.0-py3-none-any.whl", "already there: pkg-1.0.tar.gz"]


def test_a_list_that_stopped_goes_on_where_it_stopped(devpi: Client, gate: Gate) -> None:
    dists = [a_wheel("pkg", f"{number}.0") for number in (1, 2, 3)]
    devpi.has(*dists)
    devpi.lines("devpi upload dist/pkg-1.0-py3-none-any.whl")
    gate.faults = [500]
    devpi.follow(f"""
        $ devpi upload --from-dir dist
        already there: pkg-1.0-py3-none-any.whl
        500 FAIL file_upload of pkg-2.0-py3-none-any.whl to {gate.url}/ME/dev/
        Internal Server Error
        POST to {gate.url}/ME/dev/ FAILED
        [1]
    """)
    assert files(devpi) == {dists[0].filename: dists[0].sha256}
    devpi.follow(f"""
        $ devpi upload --from-dir dist
        already there: pkg-1.0-py3-none-any.whl
        file_upload of pkg-2.0-py3-none-any.whl to {gate.url}/ME/dev/
        file_upload of pkg-3.0-py3-none-any.whl to {gate.url}/ME/dev/
    """)

    assert files(devpi) == {dist.filename: dist.sha256 for dist in dists}


@pytest.mark.parametrize("fault", [429, 503, "drop"])
def test_an_upload_is_tried_again(devpi: Client, gate: Gate, fault: int | str) -> None:
    wheel = a_wheel()
    devpi.has(wheel)
    gate.faults = [fault]

    devpi.follow(f"""
        $ devpi upload --from-dir dist
        warning: pkg-1.0-py3-none-any.whl: …; trying again in {"0.5" if fault == "drop" else "0"} s
        file_upload of pkg-1.0-py3-none-any.whl to {gate.url}/ME/dev/
    """)

    assert len(gate.posts) == 2
    assert files(devpi) == {wheel.filename: wheel.sha256}


def test_a_server_may_say_what_it_thinks_as_the_reason(devpi: Client, gate: Gate) -> None:
    # devpi-server 6 does.
    devpi.has(a_wheel())
    gate.faults = [(200, "Upload of identical file to non volatile index."), (409, "pkg already exists")]
    gate.faults += [(301, "Moved"), (413, "Too Large")]

    devpi.follow(f"""
        $ devpi upload --from-dir dist
        already there: pkg-1.0-py3-none-any.whl
        $ devpi upload --from-dir dist
        409 FAIL file_upload of pkg-1.0-py3-none-any.whl to {gate.url}/ME/dev/
        pkg already exists
        POST to {gate.url}/ME/dev/ FAILED
        [1]
        $ devpi upload --from-dir dist
        301 FAIL file_upload of pkg-1.0-py3-none-any.whl to {gate.url}/ME/dev/
        Moved
        Uploads are not redirected. `devpi use` the URL that the server names: http://elsewhere.example/
        [1]
        $ devpi upload --from-dir dist
        413 FAIL file_upload of pkg-1.0-py3-none-any.whl to {gate.url}/ME/dev/
        The server, or a web server in front of it, takes no file as large as this.
        [1]
    """)

    assert files(devpi) == {}


def test_an_upload_is_not_tried_for_ever(devpi: Client, gate: Gate) -> None:
    devpi.has(a_wheel())
    gate.faults = [503] * 9

    devpi.follow(f"""
        $ devpi upload --from-dir dist
        warning: pkg-1.0-py3-none-any.whl: 503 Service Unavailable; trying again in 0 s
        503 FAIL file_upload of pkg-1.0-py3-none-any.whl to {gate.url}/ME/dev/
        POST to {gate.url}/ME/dev/ FAILED
        [1]
    """)

    assert len(gate.posts) == 4
    assert files(devpi) == {}


def test_a_list_ends_at_the_first_file_that_is_refused(devpi: Client) -> None:
    old, new, later = a_wheel(), a_wheel(payload=b"changed"), a_wheel("zoo", "1.0")
    devpi.has(old)
    devpi.lines("devpi upload --index prod --from-dir dist")
    devpi.has(new, later)

    devpi.follow("""
        $ devpi upload --index ME/prod --from-dir dist
        409 FAIL file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/prod/
        pkg-1.0-py3-none-any.whl already exists in non-volatile index
        POST to SERVER/ME/prod/ FAILED
        An index that is not volatile keeps what it has: release a new version.
        [1]
    """)

    assert document(devpi, "devpi upload --index prod --from-dir dist", 1) == [(new.filename, "refused")]
    assert files(devpi, "prod") == {old.filename: old.sha256}


def test_json_tells_what_became_of_each_file(devpi: Client) -> None:
    names = ["pkg-1.0-py3-none-any.whl", "pkg-1.0.tar.gz"]
    devpi.has(a_wheel(), an_sdist())

    told = [
        document(devpi, f"devpi upload {command}")
        for command in ("--dry-run --from-dir dist", f"dist/{names[0]}", "--from-dir dist")
    ]

    assert told == [
        [(name, "skipped") for name in names],
        [(names[0], "uploaded")],
        [(names[0], "present"), (names[1], "uploaded")],
    ]


def test_only_files_of_the_newest_version_are_uploaded(devpi: Client) -> None:
    devpi.has(*(a_wheel("pkg", version) for version in ("10.0", "9.0", "1.0")), an_sdist("Pkg", "10"))
    devpi.has(a_wheel("other", "0.1"))

    lines = devpi.lines("devpi upload --dry-run --from-dir --only-latest dist")

    assert [line.split()[3] for line in lines] == [
        "Pkg-10.tar.gz",
        "other-0.1-py3-none-any.whl",
        "pkg-10.0-py3-none-any.whl",
    ]


def test_folders_are_searched_through_links_and_nothing_is_taken_twice(devpi: Client) -> None:
    devpi.has(a_wheel())
    deep = devpi.folder / "dist" / "deep"
    deep.mkdir()
    (deep / "loop").symlink_to(devpi.folder / "dist")
    (deep / "again.whl").symlink_to(devpi.folder / "dist" / a_wheel().filename)
    (deep / an_sdist().filename).write_bytes(an_sdist().content)
    (deep / "photos.tar").write_bytes(tar_of("summer.jpg"))
    (deep / "notes.txt").write_text("no archive")

    lines = devpi.lines("devpi upload --dry-run --from-dir dist")

    assert [line for line in lines if line.startswith("skipped")] == [
        f"skipped: file_upload of {name} to {devpi.server.url}/{devpi.me}/dev/"
        for name in (a_wheel().filename, an_sdist().filename)
    ]
    assert [line for line in lines if line.startswith("warning")] == [
        "warning: dist/deep/photos.tar: does not contain PKGINFO, skipping"
    ]


def tar_of(name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        ("dist", "dist: is a directory but --from-dir not specified"),
        ("dist/pkg-1.0-py3-none-any.whl gone.whl", "path does not exist: gone.whl"),
        ("README", "there is nothing to upload"),
        ("dist/pkg-1.0-py3-none-any.whl broken.whl", "broken.whl: cannot be read as an archive …"),
    ],
    ids=["folder", "gone", "no-release", "broken"],
)
def test_what_cannot_be_uploaded_is_said_before_anything_is_sent(devpi: Client, paths: str, says: str) -> None:
    devpi.has(a_wheel())
    (devpi.folder / "README").write_text("read me")
    (devpi.folder / "broken.whl").write_bytes(a_wheel().content[:100])

    devpi.follow(f"$ devpi upload {paths}\n{says}\n[1]")

    assert files(devpi) == {}


def test_what_a_folder_has_of_damaged_files_is_left_out_and_the_others_are_sent(devpi: Client) -> None:
    devpi.has(a_wheel(), Dist("nameless-1.0.tar", tar_of("nameless-1.0/a.py"), b""))
    (devpi.folder / "dist" / "broken-1.0.whl").write_bytes(a_wheel().content[:100])
    (devpi.folder / "dist" / "pages-1.0.doc.tgz").write_bytes(b"junk")

    assert document(devpi, "devpi upload --dry-run --from-dir dist", 1) == [(a_wheel().filename, "skipped")]
    devpi.follow("""
        $ devpi upload --from-dir dist
        warning: dist/broken-1.0.whl: cannot be read as an archive (…), skipping
        warning: dist/nameless-1.0.tar: a source distribution without PKG-INFO, skipping
        warning: dist/pages-1.0.doc.tgz: cannot be read as an archive (…), skipping
        file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        left out: dist/broken-1.0.whl: cannot be read as an archive (…)
        left out: dist/nameless-1.0.tar: a source distribution without PKG-INFO
        left out: dist/pages-1.0.doc.tgz: cannot be read as an archive (…)
        [1]
        $ devpi upload --from-dir dist dist/nameless-1.0.tar
        dist/nameless-1.0.tar: a source distribution without PKG-INFO
        Build it again; `python -m build` writes all that is needed.
        [1]
    """)

    assert list(files(devpi)) == [a_wheel().filename]


def test_an_attestation_that_is_a_pipe_is_refused_at_once(devpi: Client) -> None:
    devpi.has(a_wheel())
    os.mkfifo(devpi.folder / "dist" / f"{a_wheel().filename}.publish.attestation")

    devpi.follow("$ devpi upload --from-dir dist\n….publish.attestation is no regular file\n[1]")

    assert files(devpi) == {}


def test_the_bar_ends_at_the_size_of_all_that_is_sent(devpi: Client) -> None:
    devpi.has(a_wheel())

    status, drawn = on_a_terminal(devpi, "upload", "--from-dir", "dist", NO_COLOR="1")

    assert status == 0
    told = re.findall(r"([\d,.]+)/([\d,.]+) (?:bytes|kB)", drawn)
    assert told[-1][0] == told[-1][1] != "0"
    assert files(devpi) == {a_wheel().filename: a_wheel().sha256}


def test_a_shell_completes_files_after_upload(devpi: Client) -> None:
    env = {"_DEVPI_COMPLETE": "bash_complete", "COMP_WORDS": "devpi upload ", "COMP_CWORD": "2"}

    assert devpi.lines("devpi", **env) == ["file,"]


def test_a_mirror_takes_no_uploads(devpi: Client) -> None:
    devpi.has(a_wheel())

    devpi.follow("""
        $ devpi upload --index root/pypi --from-dir dist
        The current index SERVER/root/pypi does not support upload.
        Most likely, it is a mirror.
        Choose another: --index USER/NAME
        [1]
    """)


def test_a_file_larger_than_its_reader_is_streamed(devpi: Client) -> None:
    wheel = a_wheel(payload=os.urandom(3_000_000))
    devpi.has(wheel)

    devpi.lines("devpi upload --from-dir dist")

    assert files(devpi) == {wheel.filename: wheel.sha256}


# -- who may --------------------------------------------------------------------------------------


def test_who_is_not_logged_in_is_told_so_before_anything_is_built(devpi: Client) -> None:
    a_project(devpi)
    devpi.lines("devpi logoff")

    devpi.follow("""
        $ devpi upload
        you need to be logged in (use 'devpi login USER')
        Log in first: devpi login USER
        [1]
    """)

    assert not (devpi.folder / "dist").exists()


def test_who_lost_his_login_is_told_so_before_anything_is_built(devpi: Client) -> None:
    a_project(devpi)
    status, _ = devpi.server.send_json(
        "PATCH", f"/{devpi.me}", {"password": "another one"}, authorization=basic(devpi.me)
    )
    assert status == 200

    devpi.follow("""
        $ devpi upload
        The login of 'ME' has ended
        Log in again: devpi login ME
        [1]
    """)

    assert not (devpi.folder / "dist").exists()


def test_an_index_for_everybody_takes_uploads_of_nobody(devpi: Client) -> None:
    devpi.has(a_wheel())
    status, _ = devpi.server.send_json(
        "PATCH", f"/{devpi.me}/dev", ["acl_upload=:ANONYMOUS:"], authorization=basic(devpi.me)
    )
    assert status == 200
    devpi.lines("devpi logoff")

    devpi.follow("$ devpi upload --from-dir dist\nfile_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/")

    assert list(files(devpi)) == [a_wheel().filename]


def test_who_may_not_upload_is_told_who_he_is(devpi: Client, yard: Any, tmp_path: Path) -> None:
    other = yard.client(tmp_path / "other")
    other.has(a_wheel())

    other.follow(f"""
        $ devpi upload --index {devpi.me}/dev --from-dir dist
        403 FAIL file_upload of pkg-1.0-py3-none-any.whl to SERVER/{devpi.me}/dev/
        no permission to submit to {devpi.me}/dev
        POST to SERVER/{devpi.me}/dev/ FAILED
        You are logged in as 'ME'.
        [1]
    """)

    assert files(devpi) == {}


# -- documentation ---------------------------------------------------------------------------------


def test_documentation_is_uploaded_after_releases(devpi: Client) -> None:
    devpi.has(a_wheel())
    a_doc_zip(devpi.folder / "a", "pkg-1.0.doc.zip")
    a_doc_zip(devpi.folder / "a", "nothing.doc.zip")
    with tarfile.open(devpi.folder / "pkg.doc.tgz", "w:gz") as archive:
        archive.add(devpi.folder / "a" / "pkg-1.0.doc.zip", "index.html")

    devpi.follow("""
        $ devpi upload a/pkg-1.0.doc.zip dist/pkg-1.0-py3-none-any.whl
        file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        doc_upload of pkg-1.0.doc.zip to SERVER/ME/dev/
        $ devpi upload a/pkg-1.0.doc.zip
        already there: pkg-1.0.doc.zip
        $ devpi upload a/nothing.doc.zip
        400 FAIL doc_upload of nothing.doc.zip to SERVER/ME/dev/
        doczip has no version and 'nothing' has no releases to derive one from
        [1]
        $ devpi upload pkg.doc.tgz
        repackaged pkg.doc.tgz to pkg.doc.zip
        doc_upload of pkg.doc.zip to SERVER/ME/dev/
    """)

    assert sorted(files(devpi)) == [a_wheel().filename, "pkg-1.0.doc.zip"]


# -- building --------------------------------------------------------------------------------------


def a_project(devpi: Client, folder: str = ".", more: str = "") -> Path:
    """A project named tiny, whose backend is in it and needs nothing."""
    project = devpi.folder / folder
    project.mkdir(exist_ok=True)
    (project / "backend.py").write_text(BACKEND)
    (project / "pyproject.toml").write_text(PYPROJECT + more)
    return project


def git(folder: Path, *arguments: str) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *arguments], cwd=folder, check=True, env=env, stdout=subprocess.DEVNULL)


def test_a_project_is_built_in_isolation_and_uploaded(devpi: Client) -> None:
    a_project(devpi)
    (devpi.folder / "dist").mkdir()
    (devpi.folder / "dist" / "tiny-0.9.tar.gz").write_bytes(b"of yesterday")

    devpi.follow("""
        $ devpi upload
        using workdir …
        pre-build: cleaning dist
        built: dist/tiny-1.0-py3-none-any.whl 1kb
        built: dist/tiny-1.0.tar.gz 1kb
        file_upload of tiny-1.0-py3-none-any.whl to SERVER/ME/dev/
        file_upload of tiny-1.0.tar.gz to SERVER/ME/dev/
    """)

    assert sorted(files(devpi)) == [WHEEL, SDIST]
    assert sorted(path.name for path in (devpi.folder / "dist").iterdir()) == [WHEEL, SDIST]


def test_what_a_build_needs_is_installed_for_it_alone(devpi: Client) -> None:
    project = a_project(devpi)
    (project / "pyproject.toml").write_text(PYPROJECT.replace("[]", '["dep==1.0"]'))
    (project / "backend.py").write_text(BACKEND + "import dep\nprint('with dep', dep.__version__)\n")

    devpi.follow(
        """
        $ devpi upload --wheel --no-vcs -v
        with dep 1.0
        file_upload of tiny-1.0-py3-none-any.whl to SERVER/ME/dev/
        $ devpi upload --wheel --no-vcs --no-isolation
        …No module named 'dep'
        building failed: …
        [1]
        """,
        TMPDIR=str(devpi.folder),
        PIP_INDEX_URL=f"{devpi.server.url}/root/pypi/+simple/",
    )

    assert list(files(devpi)) == [WHEEL]


@pytest.mark.parametrize(
    ("options", "inside"),
    [
        ("", "source/sub ['backend.py', 'pyproject.toml']"),
        ("--setupdir-only", "source ['backend.py', 'pyproject.toml']"),
        ("--no-vcs", "home/sub ['backend.py', 'dist', 'new.txt', 'pyproject.toml']"),
    ],
    ids=["exported", "setupdir-only", "no-vcs"],
)
def test_what_git_tracks_is_built(devpi: Client, options: str, inside: str) -> None:
    project = a_project(devpi, "sub")
    git(devpi.folder, "init", "--quiet")
    (project / "old.txt").write_text("tracked and deleted")
    git(devpi.folder, "add", "sub")
    (project / "old.txt").unlink()
    (project / "new.txt").write_text("not tracked")
    client = Client(devpi.server, devpi.upstream, devpi.folder, devpi.me)

    status, lines = client.run(f"sh -c 'cd sub && {OURS} upload -v --dry-run --no-isolation --wheel {options}'")

    assert status == 0, lines
    assert (
        [line for line in lines if line.startswith("made in")]
        == [line for line in lines if line.endswith(f"/{inside}")]
        != []
    )
    assert any(line.startswith("copied repo .git to ") for line in lines) is (options == "")
    assert (project / "dist" / WHEEL).is_file()
    assert files(devpi) == {}


def test_a_project_that_git_does_not_know_is_built_where_it_is_or_not_at_all(devpi: Client) -> None:
    project = a_project(devpi)
    git(devpi.folder, "init", "--quiet")

    status, lines = devpi.run("devpi upload -v --dry-run --no-isolation --wheel")
    (project / "tracked.txt").write_text("only this")
    git(devpi.folder, "add", "tracked.txt")
    devpi.follow("""
        $ devpi upload --dry-run --wheel
        …: neither pyproject.toml nor setup.py is tracked by git
        --no-vcs builds without version control.
        [1]
    """)

    assert status == 0, lines
    assert "nothing here is tracked by git: building without it" in lines


def test_git_that_does_not_answer_is_said(devpi: Client) -> None:
    a_project(devpi)
    (devpi.folder / ".git").mkdir()

    devpi.follow("$ devpi upload\ngit failed: …not a git repository…\n--no-vcs builds without version control.\n[1]")
    devpi.follow("$ devpi upload\ngit is not installed\n--no-vcs builds without version control.\n[1]", PATH="/nowhere")

    assert not (devpi.folder / "dist").exists()


def test_a_folder_with_other_things_in_it_is_not_cleaned(devpi: Client) -> None:
    a_project(devpi)
    dist = devpi.folder / "dist"
    dist.mkdir()
    (dist / "tiny-0.9.tar.gz").write_bytes(b"old")
    (dist / "thesis.odt").write_bytes(b"dear")

    devpi.follow("""
        $ devpi upload --wheel
        …/thesis.odt is nothing that a build makes: dist is not cleaned
        Move it somewhere else, then try again.
        [1]
    """)

    assert sorted(path.name for path in dist.iterdir()) == ["thesis.odt", "tiny-0.9.tar.gz"]
    assert files(devpi) == {}


def test_a_build_that_fails_shows_its_last_words_and_where_all_of_them_are(devpi: Client) -> None:
    project = a_project(devpi)
    (project / "backend.py").write_text("def build_wheel(*_):\n    raise SystemExit('no luck today')\n")

    status, lines = devpi.run("devpi upload --wheel --no-vcs", TMPDIR=str(devpi.folder))

    assert status == 1
    assert "no luck today" in lines
    assert lines[-2] == "building failed: Backend subprocess exited when trying to invoke build_wheel"
    log = Path(lines[-1].removeprefix("All that was printed: "))
    assert "no luck today" in log.read_text()
    assert list(devpi.folder.glob("devpi-*")) == [log]
    assert files(devpi) == {}


def test_another_interpreter_builds_without_having_build(devpi: Client) -> None:
    other = f"{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    if not Path(other).exists():
        pytest.skip("this Python has no base with an executable")
    a_project(devpi)

    devpi.follow(f"""
        $ devpi upload --wheel --python {other}
        building wheel with {other}
        built: dist/tiny-1.0-py3-none-any.whl 1kb
        file_upload of tiny-1.0-py3-none-any.whl to SERVER/ME/dev/
        $ devpi upload --python no-such-python
        no-such-python is no Python interpreter
        [1]
    """)

    assert list(files(devpi)) == [WHEEL]


NOTHING = upload.Options(
    python=None, no_vcs=False, setupdir_only=False, formats=None, sdist=False, wheel=False, no_isolation=False,
    with_docs=False, only_docs=False, index=None, from_dir=False, only_latest=False, dry_run=False,
)  # fmt: skip


def wish(folder: Path, setup_cfg: str, pyproject: str, **options: Any) -> building.Wish:
    if setup_cfg:
        (folder / "setup.cfg").write_text(setup_cfg)
    (folder / "pyproject.toml").write_text(pyproject)
    out = Terminal({})
    return upload.wish(dataclasses.replace(NOTHING, **options), projectconfig.defaults(folder, out), out)


@pytest.mark.parametrize(
    ("setup_cfg", "pyproject", "options", "wished"),
    [
        ("", "", {}, building.Wish()),
        ("", "[tool.devpi.upload]\nsdist = true\nno-vcs = true\n", {}, building.Wish(sdist=True, exported=False)),
        ("[devpi:upload]\nwheel = 1\nsetupdir-only = yes\n", "", {}, building.Wish(wheel=True, setupdir_only=True)),
        ("[devpi:upload]\nwheel = 0\nsdist =\nno-vcs = False\n", "", {}, building.Wish()),
        ("[devpi:upload]\nformats = sdist.tgz\n", "", {}, building.Wish(sdist=True)),
        ("[devpi:upload]\nformats = sdist.tgz\n", "", {"wheel": True}, building.Wish(wheel=True)),
        ("", "", {"formats": "bdist_wheel"}, building.Wish(wheel=True)),
        ("", "", {"formats": "bdist_wheel,sdist.zip,bdist_egg"}, building.Wish()),
        ("", "", {"with_docs": True, "no_isolation": True}, building.Wish(docs=True, isolated=False)),
        ("", "", {"only_docs": True, "python": "py"}, building.Wish(releases=False, docs=True, python="py")),
    ],
    ids=[
        "nothing", "pyproject", "setup-cfg", "setup-cfg-off", "setup-cfg-formats", "option-before-formats", "format",
        "formats", "with-docs", "only-docs",
    ],
)  # fmt: skip
def test_the_project_and_the_options_say_what_is_built(
    tmp_path: Path, setup_cfg: str, pyproject: str, options: dict[str, Any], wished: building.Wish
) -> None:
    assert wish(tmp_path, setup_cfg, pyproject, **options) == wished


@pytest.mark.parametrize(
    ("setup_cfg", "pyproject", "options", "says"),
    [
        ("[devpi:upload]\n", "[tool.devpi.upload]\n", {}, "in pyproject.toml and setup.cfg, choose one"),
        ("[devpi:upload]\nsdist = perhaps\n", "", {}, r"setup.cfg \[devpi:upload\]: sdist is 'perhaps'"),
        ("", "[tool.devpi.upload]\nwheel = 3\n", {}, r"pyproject.toml \[tool.devpi.upload\]: wheel is 3"),
        ("nonsense", "", {}, "setup.cfg is not understood"),
        ("", "nonsense", {}, "pyproject.toml is not understood"),
        ("", "", {"formats": "bdist_egg"}, "--formats bdist_egg asks for nothing that can be built"),
    ],
    ids=["both", "ini-boolean", "toml-boolean", "ini", "toml", "formats"],
)
def test_a_configuration_that_is_wrong_is_said(
    tmp_path: Path, setup_cfg: str, pyproject: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(Failure, match=says):
        wish(tmp_path, setup_cfg, pyproject, **options)


def test_the_configuration_of_a_project_holds_without_options(devpi: Client) -> None:
    a_project(devpi, more="[tool.devpi.upload]\nsdist = true\nno-vcs = true\nshoes = 44\n")

    devpi.follow("""
        $ devpi upload --formats sdist
        Got sdist=True from pyproject.toml [tool.devpi.upload].
        Got no-vcs=True from pyproject.toml [tool.devpi.upload].
        warning: pyproject.toml [tool.devpi.upload]: there is no setting 'shoes'
        built: dist/tiny-1.0.tar.gz 1kb
        file_upload of tiny-1.0.tar.gz to SERVER/ME/dev/
    """)

    assert list(files(devpi)) == [SDIST]


def test_a_worktree_of_git_is_exported_as_one(devpi: Client) -> None:
    project = a_project(devpi, "sub")
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "-c", "user.name=me", "-c", "user.email=me", "commit", "--quiet", "-m", "first")
    git(project, "worktree", "add", "--quiet", "../tree")
    (devpi.folder / "tree" / "backend.py").write_text(
        BACKEND + "import subprocess\nprint('head:', subprocess.getoutput('git log --format=%s'))\n"
    )

    status, lines = devpi.run(f"sh -c 'cd tree && {OURS} upload -v --dry-run --no-isolation --wheel'")

    assert status == 0, lines
    assert "head: first" in lines


def test_a_folder_without_a_project_is_said(devpi: Client) -> None:
    devpi.follow("""
        $ devpi upload
        … has no pyproject.toml and no setup.py
        Go to the folder of a project, or name the files to upload.
        [1]
    """)


SPHINX = """\
#!/bin/sh
echo "from $2"
mkdir -p "$3"
echo '<h1>Hello</h1>' > "$3/index.html"
"""


def test_documentation_is_built_with_sphinx(devpi: Client) -> None:
    # Sphinx itself would take seconds; how it is called and what it leaves is what counts.
    project = a_project(devpi)
    (project / "docs").mkdir()
    (project / "docs" / "conf.py").touch()
    (project / "bin").mkdir()
    (project / "bin" / "sphinx-build").write_text(SPHINX)
    (project / "bin" / "sphinx-build").chmod(0o755)
    path = f"{project / 'bin'}:{devpi.env['PATH']}"

    devpi.follow(
        """
        $ devpi upload --only-docs -v --no-isolation
        from docs
        built: dist/tiny-1.0.doc.zip [sphinx docs] 0kb
        doc_upload of tiny-1.0.doc.zip to SERVER/ME/dev/
        $ devpi upload --with-docs --wheel --no-isolation
        built: dist/tiny-1.0-py3-none-any.whl 1kb
        built: dist/tiny-1.0.doc.zip [sphinx docs] 0kb
        file_upload of tiny-1.0-py3-none-any.whl to SERVER/ME/dev/
        """,
        PATH=path,
    )
    shutil.rmtree(project / "docs")
    devpi.follow("$ devpi upload --only-docs\nthere is no documentation: no conf.py in …\n[1]", PATH=path)
    devpi.follow("$ devpi upload --only-docs\nsphinx-build is not installed\nInstall it: … -m pip install sphinx\n[1]")

    assert sorted(files(devpi)) == [WHEEL, "tiny-1.0.doc.zip"]


def test_an_interrupt_ends_the_build_and_leaves_nothing(devpi: Client) -> None:
    project = a_project(devpi)
    pipe = devpi.folder / "pipe"
    os.mkfifo(pipe)
    (project / "backend.py").write_text(
        f"import signal\ndef build_wheel(*_):\n    with open({str(pipe)!r}, 'w') as told:\n"
        "        told.write('building')\n        told.flush()\n        signal.pause()\n"
    )
    temporary = devpi.folder / "temporary"
    temporary.mkdir()
    env = {**devpi.env, "TMPDIR": str(temporary)}
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with subprocess.Popen(
            [OURS, "upload", "--wheel", "--no-isolation"], cwd=project, env=env, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        ) as running:  # fmt: skip
            until(lambda: _read(reader) == b"building", "the backend runs")
            running.send_signal(signal.SIGINT)
            _, words = running.communicate(timeout=20)

        assert running.returncode == 130
        assert words.splitlines()[-1] == "interrupted"
        assert _read(reader) == b""  # nobody holds the other end
        assert list(temporary.iterdir()) == []
        assert files(devpi) == {}
    finally:
        os.close(reader)


def _read(handle: int) -> bytes | None:
    """What is in a pipe; nothing: nobody writes to it; None: somebody may."""
    try:
        return os.read(handle, 100)
    except BlockingIOError:
        return None


def test_a_name_of_a_distribution_may_have_quotes(devpi: Client) -> None:
    devpi.has(Dist('p"kg-1.0-py3-none-any.whl', a_wheel().content, a_wheel().metadata))

    status, lines = devpi.run("devpi upload --from-dir dist")

    assert status == 1
    assert lines[0].startswith("400 FAIL")
    assert files(devpi) == {}

"""The tools that publish, and those that install what was published, against a running server.

Each test has projects and indexes of its own; they share the server.
"""

import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.compat.conftest import BETWEEN, OLD, installed
from tests.support.builders import Dist, a_wheel, metadata_of
from tests.support.publish import PASSWORD, basic
from tests.support.server import BIN, Server, a_server, clean_env
from tests.support.upstream import FakeUpstream, Threaded
from tests.support.world import make_serverdir

CLIENTS = Path(__file__).parents[2] / ".venv-clients" / "bin"
JSON = "application/vnd.pypi.simple.v1+json"
FUTURE = "2100-01-01T00:00:00Z"
NOT_RIGHT = "The user name, password or token that was sent is not right, or not any more"

Done = subprocess.CompletedProcess[str]


@dataclass
class Place:
    """A server over an upstream that has `dep`, its user `team`, and a home folder for the tools."""

    server: Server
    upstream: FakeUpstream
    home: Path

    def index(self, name: str, **keys: Any) -> str:
        """Make an index of team's, non-volatile unless told; its name."""
        keys = {"bases": "root/pypi", "volatile": False, **keys}
        status, answer = self.server.send_json("PUT", f"/team/{name}", keys, authorization=basic("team"))
        assert status == 200, answer
        return f"team/{name}"

    def url(self, index: str) -> str:
        """Where uploads go."""
        return f"{self.server.url}/{index}/"

    def simple(self, index: str, login: str = "") -> str:
        """Where installers look; `login`: user:password, as URLs have them."""
        return f"http://{login and login + '@'}127.0.0.1:{self.server.port}/{index}/+simple/"

    def run(self, tool: str | Path, *arguments: str | Path, cwd: Path | None = None, **env: str) -> Done:
        """Run a tool to its end."""
        return subprocess.run(
            [tool, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL, cwd=cwd or self.home, env={**tool_env(self.home), **env},
        )  # fmt: skip

    def files(self, index: str, project: str) -> dict[str, str]:
        """Filename → sha256, as the index lists them; none when it has no such project."""
        status, _, body = self.server.get(f"/{index}/+simple/{project}/", accept=JSON)
        assert status in (200, 404), body
        if status == 404:
            return {}
        return {file["filename"]: file["hashes"]["sha256"] for file in json.loads(body)["files"]}


def tool_env(home: Path) -> dict[str, str]:
    """An environment in which tools know nothing but what a test tells them, and reach nothing outside."""
    mislead = re.compile(r"(TWINE|FLIT|POETRY|HATCH|XDG|VIRTUAL_ENV|NETRC)")
    kept = {name: value for name, value in clean_env().items() if not mislead.match(name)}
    return {
        **kept,
        "HOME": str(home),
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "NO_COLOR": "1",
        "COLUMNS": "300",
        "UV_CACHE_DIR": str(home / "uv-cache"),
        "UV_PYTHON_DOWNLOADS": "never",
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("publishing")
    home = folder / "home"
    home.mkdir()
    with Threaded() as upstream:
        upstream.add("dep", a_wheel("dep", "1.5"), upload_time=OLD)
        make_serverdir(folder / "server", upstream.url)
        with a_server(folder / "server") as server:
            assert server.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
            yield Place(server, upstream, home)


def an_sdist(name: str, version: str) -> Dist:
    """As build backends make them; twine wants more than one member."""
    metadata = metadata_of(name, version)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for member, content in {"PKG-INFO": metadata, "pyproject.toml": b""}.items():
            info = tarfile.TarInfo(f"{name}-{version}/{member}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return Dist(f"{name}-{version}.tar.gz", out.getvalue(), metadata)


def written(folder: Path, *dists: Dist) -> list[Path]:
    """The files of `dists` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for dist in dists:
        (folder / dist.filename).write_bytes(dist.content)
    return [folder / dist.filename for dist in dists]


def listed(*dists: Dist) -> dict[str, str]:
    return {dist.filename: dist.sha256 for dist in dists}


def twine(place: Place, url: str, *arguments: str | Path, user: str = "team", secret: str = PASSWORD) -> Done:
    return place.run(
        CLIENTS / "twine", "upload", "--non-interactive", "--disable-progress-bar", "--repository-url", url,
        "-u", user, "-p", secret, *arguments,
    )  # fmt: skip


def uv_publish(place: Place, url: str, *arguments: str | Path, secret: str = PASSWORD) -> Done:
    return place.run(
        BIN / "uv", "publish", "--publish-url", url, "--username", "team", "--password", secret, *arguments
    )


# -- publishing ---------------------------------------------------------------------------------


def test_twine_uploads_a_release_and_may_do_it_again(place: Place, tmp_path: Path) -> None:
    index = place.index("twine")
    dists = (a_wheel("twined", "1.0", requires=("dep",)), an_sdist("twined", "1.0"))
    files = written(tmp_path, *dists)

    first = twine(place, place.url(index), *files)
    second = twine(place, place.url(index).rstrip("/"), *files)

    assert first.returncode == second.returncode == 0, first.stdout + second.stdout
    assert place.files(index, "twined") == listed(*dists)


def test_twine_shows_why_another_file_under_the_same_name_is_refused(place: Place, tmp_path: Path) -> None:
    index = place.index("twine-refused")
    dist = a_wheel("twined", "1.0")
    twine(place, place.url(index), *written(tmp_path, dist))
    changed = written(tmp_path, a_wheel("twined", "1.0", payload=b"changed"))

    done = twine(place, place.url(index), "--verbose", *changed)

    assert done.returncode == 1
    assert "409 Conflict" in done.stdout
    assert f"{dist.filename} already exists in non-volatile index" in done.stdout
    assert place.files(index, "twined") == listed(dist)


def test_twine_may_send_a_login_token_and_no_wrong_one(place: Place, tmp_path: Path) -> None:
    index = place.index("twine-token")
    dist = a_wheel("twined", "1.0")
    files = written(tmp_path, dist)
    login = place.server.send_json("POST", "/+login", {"user": "team", "password": PASSWORD})[1]
    token = login["result"]["password"]

    wrong = twine(place, place.url(index), "--verbose", *files, user="__token__", secret=token[:-1])
    before = place.files(index, "twined")
    right = twine(place, place.url(index), *files, user="__token__", secret=token)

    assert wrong.returncode == 1
    assert NOT_RIGHT in wrong.stdout
    assert before == {}
    assert right.returncode == 0, right.stdout
    assert place.files(index, "twined") == listed(dist)


def test_uv_publishes_a_release_and_may_do_it_again(place: Place, tmp_path: Path) -> None:
    index = place.index("uv")
    dists = (a_wheel("uved", "1.0"), an_sdist("uved", "1.0"))
    files = written(tmp_path, *dists)

    first = uv_publish(place, place.url(index), *files)
    second = uv_publish(place, place.url(index), *files)
    checked = uv_publish(place, place.url(index), "--check-url", place.simple(index), *files)

    for done in (first, second, checked):
        assert done.returncode == 0, done.stderr
    assert checked.stderr.count("already exists, skipping") == 2
    assert place.files(index, "uved") == listed(*dists)


def test_uv_shows_why_another_file_under_the_same_name_is_refused(place: Place, tmp_path: Path) -> None:
    index = place.index("uv-refused")
    dist = a_wheel("uved", "1.0")
    uv_publish(place, place.url(index), *written(tmp_path, dist))
    changed = written(tmp_path, a_wheel("uved", "1.0", payload=b"changed"))

    sent = uv_publish(place, place.url(index), *changed)
    checked = uv_publish(place, place.url(index), "--check-url", place.simple(index), *changed)

    assert sent.returncode == checked.returncode == 2
    assert f"{dist.filename} already exists in non-volatile index" in sent.stderr
    assert f"Local file and index file do not match for `{dist.filename}`" in checked.stderr
    assert place.files(index, "uved") == listed(dist)


@pytest.mark.parametrize(
    ("path", "secret", "words"),
    [
        ("team/uv-wrong/", "wrong", f"no permission to submit to team/uv-wrong. {NOT_RIGHT}"),
        ("team/uv-wrong/+simple/", PASSWORD, "this URL takes no uploads; upload to SERVER/team/uv-wrong/"),
        ("team/uv-wrong/+simple/uved/", PASSWORD, "this URL takes no uploads; upload to SERVER/team/uv-wrong/"),
        ("team/nowhere/", PASSWORD, "The stage team/nowhere could not be found."),
        ("root/pypi/", PASSWORD, "cannot submit to mirror index root/pypi"),
    ],
)
def test_uv_is_told_what_is_wrong(place: Place, tmp_path: Path, path: str, secret: str, words: str) -> None:
    place.server.send_json("PUT", "/team/uv-wrong", {}, authorization=basic("team"))
    files = written(tmp_path, a_wheel("uved", "1.0"))

    done = uv_publish(place, f"{place.server.url}/{path}", *files, secret=secret)

    assert done.returncode == 2
    assert words.replace("SERVER", place.server.url) in done.stderr
    assert place.files("team/uv-wrong", "uved") == {}


def test_poetry_publishes_what_it_built_and_skips_what_is_there(place: Place, tmp_path: Path) -> None:
    index = place.index("poetry")
    dists = (a_wheel("poem", "1.0", requires=("dep",)), an_sdist("poem", "1.0"))
    written(tmp_path / "dist", *dists)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "poem"\nversion = "1.0"\ndescription = "Lines"\nrequires-python = ">=3.11"\n'
    )
    env = {
        "POETRY_REPOSITORIES_DEV_URL": place.url(index),
        "POETRY_HTTP_BASIC_DEV_USERNAME": "team",
        "POETRY_HTTP_BASIC_DEV_PASSWORD": PASSWORD,
        "POETRY_VIRTUALENVS_CREATE": "false",
    }

    def publish(*more: str) -> Done:
        return place.run(CLIENTS / "poetry", "publish", "-r", "dev", "-n", *more, cwd=tmp_path, **env)

    first, second = publish(), publish()
    written(tmp_path / "dist", a_wheel("poem", "1.0", payload=b"changed"))
    changed, skipping = publish(), publish("--skip-existing")

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert changed.returncode == 1
    assert "poem-1.0-py3-none-any.whl already exists in non-volatile index" in changed.stderr
    assert skipping.returncode == 0, skipping.stderr
    assert "File exists. Skipping" in skipping.stderr
    assert place.files(index, "poem") == listed(*dists)


def test_flit_builds_and_publishes_and_may_do_it_again(place: Place, tmp_path: Path) -> None:
    index = place.index("flit")
    (tmp_path / "flitted.py").write_text('"""It flits."""\n__version__ = "1.0"\n')
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
        '[project]\nname = "flitted"\ndynamic = ["version", "description"]\ndependencies = ["dep"]\n'
        'requires-python = ">=3.11"\n'
    )
    (tmp_path / "pypirc").write_text(
        f"[distutils]\nindex-servers = dev\n[dev]\nrepository = {place.url(index)}\n"
        f"username = team\npassword = {PASSWORD}\n"
    )
    flit: list[str | Path] = [
        CLIENTS / "flit",
        "publish",
        "--pypirc",
        tmp_path / "pypirc",
        "--repository",
        "dev",
        "--no-use-vcs",
    ]

    first = place.run(*flit, cwd=tmp_path)
    second = place.run(*flit, cwd=tmp_path)

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert set(place.files(index, "flitted")) == {"flitted-1.0-py3-none-any.whl", "flitted-1.0.tar.gz"}


def test_hatch_publishes_what_a_private_index_does_not_have_yet(place: Place, tmp_path: Path) -> None:
    index = place.index("hatch", acl_pkg_read=["team"])
    dists = (a_wheel("hatched", "1.0"), an_sdist("hatched", "1.0"))
    files = written(tmp_path / "dist", *dists)
    hatch: list[str | Path] = [CLIENTS / "hatch", "publish", "-n", "-u", "team", "-a", PASSWORD, "-r", place.url(index)]

    first = place.run(*hatch, files[0], cwd=tmp_path)
    second = place.run(*hatch, "dist", cwd=tmp_path)

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    said = dict(re.findall(r"(\S+) \.\.\. (.+)", second.stderr))
    assert said == {f"dist/{dists[0].filename}": "already exists", f"dist/{dists[1].filename}": "success"}


# -- installing what was published ----------------------------------------------------------------


def install(place: Place, tool: str, index_url: str, target: Path, *arguments: str) -> Done:
    """Install with pip or uv into `target`, without a cache."""
    common: list[str | Path] = ["--no-cache-dir", "--target", target, "--index-url", index_url, *arguments]
    if tool == "uv":
        return place.run(BIN / "uv", "pip", "install", "--python", sys.executable, *common)
    return place.run(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--retries", "1", *common)


@pytest.fixture(scope="module")
def private(place: Place) -> str:
    """An index, for team only, with `secret` 1.0 that needs upstream's `dep`, and 2.0 which is yanked."""
    index = place.index("private", acl_pkg_read=["team"])
    files = written(place.home / "secret", *(a_wheel("secret", v, requires=("dep",)) for v in ("1.0", "2.0")))
    assert uv_publish(place, place.url(index), *files).returncode == 0
    status, answer = place.server.send_json(
        "PATCH", f"/{index}/secret/2.0", {"yanked": "it leaks"}, authorization=basic("team")
    )
    assert status == 200, answer
    return index


LOGIN = f"team:{PASSWORD.replace(' ', '%20')}"
tools = pytest.mark.parametrize("tool", ["pip", "uv"])


@tools
def test_a_private_release_is_installed_with_its_dependency_from_upstream(
    place: Place, private: str, tmp_path: Path, tool: str
) -> None:
    done = install(place, tool, place.simple(private, LOGIN), tmp_path / "here", "secret")

    assert done.returncode == 0, done.stderr
    # 2.0 is yanked.
    assert installed(tmp_path / "here") == {"secret": "1.0", "dep": "1.5"}
    assert PASSWORD.replace(" ", "%20") not in done.stdout + done.stderr


@tools
@pytest.mark.parametrize("login", ["", "team:wrong"])
def test_a_private_release_is_not_installed_without_the_right_password(
    place: Place, private: str, tmp_path: Path, tool: str, login: str
) -> None:
    done = install(place, tool, place.simple(private, login), tmp_path / "here", "secret")

    assert done.returncode != 0
    assert "401" in done.stderr
    assert installed(tmp_path / "here") == {}


@tools
def test_a_yanked_release_is_installed_when_pinned(place: Place, private: str, tmp_path: Path, tool: str) -> None:
    done = install(place, tool, place.simple(private, LOGIN), tmp_path / "here", "secret==2.0")

    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "here") == {"secret": "2.0", "dep": "1.5"}
    assert "it leaks" in done.stderr


@pytest.mark.parametrize(("tool", "option"), [("pip", "--uploaded-prior-to"), ("uv", "--exclude-newer")])
def test_releases_have_the_time_at_which_they_were_uploaded(
    place: Place, private: str, tmp_path: Path, tool: str, option: str
) -> None:
    url = place.simple(private, LOGIN)

    before = install(place, tool, url, tmp_path / "before", option, BETWEEN, "secret")
    dependency = install(place, tool, url, tmp_path / "dependency", option, BETWEEN, "dep")
    after = install(place, tool, url, tmp_path / "after", option, FUTURE, "secret")

    assert before.returncode != 0
    assert installed(tmp_path / "before") == {}
    assert dependency.returncode == after.returncode == 0, dependency.stderr + after.stderr
    assert installed(tmp_path / "dependency") == {"dep": "1.5"}
    assert installed(tmp_path / "after") == {"secret": "1.0", "dep": "1.5"}


def test_uv_locks_and_installs_a_project_that_needs_a_private_release(
    place: Place, private: str, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "proj"\nversion = "0.1"\nrequires-python = ">=3.11"\ndependencies = ["secret"]\n'
        f'[[tool.uv.index]]\nname = "ours"\nurl = "{place.simple(private)}"\ndefault = true\n'
    )
    env = {"UV_INDEX_OURS_USERNAME": "team", "UV_INDEX_OURS_PASSWORD": PASSWORD, "UV_NO_CONFIG": "0"}

    def uv(*arguments: str) -> Done:
        return place.run(BIN / "uv", *arguments, "--python", sys.executable, cwd=tmp_path, **env)

    lock, sync, check = uv("lock"), uv("sync", "--frozen"), uv("lock", "--check")

    for done in (lock, sync, check):
        assert done.returncode == 0, done.stderr
    assert installed(next(tmp_path.glob(".venv/lib/*/site-packages"))) == {"secret": "1.0", "dep": "1.5"}
    # Files whose size and time are told are locked with them.
    files = re.findall(
        r'url = "[^"]+/([^/"]+)", hash = "sha256:\w+", size = \d+, upload-time =', (tmp_path / "uv.lock").read_text()
    )
    assert files == ["dep-1.5-py3-none-any.whl", "secret-1.0-py3-none-any.whl"]


def test_poetry_locks_and_installs_a_project_that_needs_a_private_release(
    place: Place, private: str, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "proj"\nversion = "0.1"\nrequires-python = ">=3.11"\ndependencies = ["secret"]\n'
        "[tool.poetry]\npackage-mode = false\n"
        f'[[tool.poetry.source]]\nname = "ours"\nurl = "{place.simple(private)}"\npriority = "primary"\n'
    )
    env = {
        "POETRY_HTTP_BASIC_OURS_USERNAME": "team",
        "POETRY_HTTP_BASIC_OURS_PASSWORD": PASSWORD,
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_VIRTUALENVS_OPTIONS_NO_PIP": "true",
        "VIRTUALENV_NO_PERIODIC_UPDATE": "1",
        "POETRY_CACHE_DIR": str(tmp_path / "cache"),
    }

    lock = place.run(CLIENTS / "poetry", "lock", "-n", cwd=tmp_path, **env)
    sync = place.run(CLIENTS / "poetry", "install", "-n", cwd=tmp_path, **env)

    assert lock.returncode == sync.returncode == 0, lock.stderr + sync.stderr
    assert installed(next(tmp_path.glob(".venv/lib/*/site-packages"))) == {"secret": "1.0", "dep": "1.5"}


# -- servers of another kind ----------------------------------------------------------------------


def test_tools_show_why_a_large_file_is_refused(place: Place, tmp_path: Path) -> None:
    make_serverdir(tmp_path / "server", place.upstream.url)
    files = written(tmp_path, a_wheel("large", payload=bytes(8_000_000)))
    with a_server(tmp_path / "server", "--max-request-body-size", "1000000") as server:
        strict = Place(server, place.upstream, place.home)
        server.send_json("PUT", "/team", {"password": PASSWORD})
        index = strict.index("dev")
        by_twine = twine(strict, strict.url(index), "--verbose", *files)
        by_uv = uv_publish(strict, strict.url(index), *files)
        kept = strict.files(index, "large")

    assert by_twine.returncode == 1
    assert "uploads of more than 1000000 bytes are not taken" in by_twine.stdout
    assert by_uv.returncode == 2
    assert "uploads of more than 1000000 bytes are not taken" in by_uv.stderr
    assert kept == {}


def test_what_was_uploaded_is_there_for_the_next_request_to_any_worker(place: Place, tmp_path: Path) -> None:
    make_serverdir(tmp_path / "server", place.upstream.url)
    with a_server(tmp_path / "server", "--workers", "2") as server:
        several = Place(server, place.upstream, place.home)
        server.send_json("PUT", "/team", {"password": PASSWORD})
        index = several.index("dev")
        # Both workers have said that there is no such project.
        seen = [several.files(index, "fresh") for _ in range(20)]
        dists = [a_wheel("fresh", version) for version in ("1.0", "2.0", "3.0")]
        for count, dist in enumerate(dists, 1):
            done = uv_publish(several, several.url(index), *written(tmp_path, dist))
            assert done.returncode == 0, done.stderr
            seen = [several.files(index, "fresh") for _ in range(20)]
            assert seen == [listed(*dists[:count])] * 20
        done = install(several, "uv", several.simple(index), tmp_path / "here", "fresh", "dep")
        workers = server.workers()

    assert len(workers) == 2
    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "here") == {"fresh": "3.0", "dep": "1.5"}

"""`devpi test`: the tests of a release are run by tox, and what tox says goes back to the index.

tox would take seconds to make environments: here it is a script that says what it was given.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stilton_client.credentials import index_environment, without_login
from stilton_client.http import Login
from stilton_client.toxconfig import tox_config
from tests.support.builders import Dist, a_wheel, metadata_of
from tests.support.devpi import OURS, Client
from tests.support.publish import BOUNDARY, a_form, basic, fields_of

TOX = """\
import json, os, signal, sys
def at(option):
    return sys.argv[sys.argv.index(option) + 1] if option in sys.argv else None
code = int(os.environ.get("TOX_ENDS", "0"))
said = {name: value for name, value in os.environ.items() if name.startswith(("PIP_INDEX", "UV_DEF"))}
said["TOX_TESTENV_PASSENV"] = os.environ["TOX_TESTENV_PASSENV"]
if "NETRC" in os.environ:
    with open(os.environ["NETRC"]) as file:
        said |= {"logins": file.read().lstrip(), "mode": oct(os.fstat(file.fileno()).st_mode & 0o777)}
report = {"platform": "linux", "host": "here", "testenvs": {}, "said": said, "argv": sys.argv[1:]}
if "TOX_SILENT" not in os.environ:
    with open(at("--result-json"), "w") as file:
        json.dump(report, file)
print("tests", os.path.basename(at("--installpkg")), "in", os.path.basename(os.getcwd()), flush=True)
print("with", os.path.relpath(at("-c")), "root", at("--root") and os.path.relpath(at("--root")), "env", at("-e"))
print("more", sys.argv[-2:], flush=True)
if "TOX_WAITS" in os.environ:
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("tox tidies up", flush=True)
        sys.exit(3)
sys.exit(code)
"""


@pytest.fixture
def devpi(devpi: Client) -> Client:
    """With a `tox` in its folder `bin`, and a folder for temporary files."""
    (devpi.folder / "bin").mkdir()
    (devpi.folder / "bin" / "tox").write_text(f"#!{sys.executable}\n{TOX}")
    (devpi.folder / "bin" / "tox").chmod(0o755)
    (devpi.folder / "tmp").mkdir()
    return devpi


def env(devpi: Client, **more: str) -> dict[str, str]:
    return {"PATH": f"{devpi.folder / 'bin'}:/usr/bin:/bin", "TMPDIR": str(devpi.folder / "tmp"), **more}


def an_sdist(name: str = "pkg", version: str = "1.0", files: dict[str, str] | None = None) -> Dist:
    """Sources with a tox.ini, or with the given files."""
    metadata = metadata_of(name, version)
    content = {"PKG-INFO": metadata.decode(), **({"tox.ini": "[tox]"} if files is None else files)}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, text in content.items():
            info = tarfile.TarInfo(f"{name}-{version}/{path}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return Dist(f"{name}-{version}.tar.gz", out.getvalue(), metadata)


def upload(devpi: Client, *dists: Dist, index: str = "dev") -> None:
    for dist in dists:
        name, version = dist.filename.removesuffix(".tar.gz").split("-")[:2]
        body = a_form(fields_of(dist, name, version), dist.filename, dist.content)
        status, answer = devpi.server.send(
            "POST", f"/{devpi.me}/{index}/", body,
            content_type=f"multipart/form-data; boundary={BOUNDARY}", authorization=basic(devpi.me),
        )  # fmt: skip
        assert status == 200, answer


def results(devpi: Client, project: str = "pkg", version: str = "1.0") -> list[dict[str, Any]]:
    """The links of the results that the index has."""
    links = devpi.get(f"/{devpi.me}/dev/{project}/{version}").get("+links", [])
    return [link for link in links if link["rel"] == "toxresult"]


def token(devpi: Client) -> str:
    auth = json.loads((devpi.folder / ".devpi" / "client" / "auth.json").read_text())
    return str(next(iter(auth["auth"].values()))[0][1])


def test_the_newest_release_is_tested_and_its_result_is_posted(devpi: Client) -> None:
    newest = an_sdist(version="1.1")
    upload(devpi, an_sdist(version="1.0"), newest)
    devpi.lines("devpi index dev acl_pkg_read=ME")

    devpi.follow(
        """
        $ devpi test pkg
        received SERVER/ME/dev/+f/…/pkg-1.1.tar.gz
        unpacking …/pkg-1.1.tar.gz to …
        --> …pkg-1.1$ …/bin/tox --installpkg …/pkg-1.1.tar.gz --recreate --result-json …toxreport0.json -c …/tox.ini
        tests pkg-1.1.tar.gz in pkg-1.1
        with tox.ini root None env None
        posting tox result data to SERVER/ME/dev/+f/…/pkg-1.1.tar.gz
        success
        """,
        **env(devpi),
    )

    assert [link["for_href"] for link in results(devpi, version="1.1")] == [devpi.href(f"{devpi.me}/dev", newest)]
    assert results(devpi, version="1.0") == []
    assert list((devpi.folder / "tmp").iterdir()) == []


def test_the_login_reaches_pip_and_is_neither_shown_nor_posted(devpi: Client) -> None:
    upload(devpi, an_sdist())

    lines = devpi.lines("devpi --debug test -v pkg", **env(devpi, TOX_TESTENV_PASSENV="HERE"))

    status, _, body = devpi.server.get(results(devpi)[0]["href"].removeprefix(devpi.server.url))
    said = json.loads(body)["said"]
    place = f"127.0.0.1:{devpi.server.port}/{devpi.me}/dev/+simple/"
    assert status == 200
    assert said == {
        "PIP_INDEX_URL": f"http://{place}",
        "UV_DEFAULT_INDEX": f"http://{devpi.me}@{place}",
        "TOX_TESTENV_PASSENV": "HERE NETRC",
        "logins": f"machine 127.0.0.1\nlogin {devpi.me}\npassword ****\n",
        "mode": "0o600",
    }
    assert token(devpi) not in "\n".join(lines)
    assert token(devpi).encode() not in body


def test_pure_wheels_are_tested_with_the_tests_of_the_sources(devpi: Client) -> None:
    sdist, pure, other = an_sdist(), a_wheel(), a_wheel(payload=b"compiled")
    binary = Dist("pkg-1.0-cp311-cp311-linux_x86_64.whl", other.content, other.metadata)
    upload(devpi, sdist, pure, binary)

    listed = devpi.lines("devpi test -l pkg", **env(devpi))
    selected = devpi.lines("devpi test --list --select 'cp3.*x86' pkg", **env(devpi))
    lines = devpi.lines("devpi test --no-upload pkg", **env(devpi))

    urls = [f"   {devpi.href(f'{devpi.me}/dev', dist)}" for dist in (sdist, pure, binary)]
    assert [line for line in listed if "only universal" not in line] == ["would test:", *urls[:2]]
    assert selected == ["would test:", urls[2]]
    assert [line for line in lines if line.startswith("tests")] == [
        "tests pkg-1.0.tar.gz in pkg-1.0",
        f"tests {pure.filename} in pkg-1.0",
    ]
    assert results(devpi) == []


def test_all_tests_are_run_before_the_failed_ones_are_told(devpi: Client) -> None:
    upload(devpi, an_sdist("pkg"), an_sdist("other"))

    devpi.follow(
        """
        $ devpi test pkg other
        tests pkg-1.0.tar.gz in pkg-1.0
        success
        tests other-1.0.tar.gz in other-1.0
        success
        tox command failed 1
        Tests that failed: pkg-1.0.tar.gz, other-1.0.tar.gz.
        [1]
        """,
        **env(devpi, TOX_ENDS="1"),
    )

    assert len(results(devpi, "pkg")) == len(results(devpi, "other")) == 1


def test_a_tox_that_ends_with_2_and_reports_has_a_result(devpi: Client) -> None:
    # tox 4 does when the command of the tests does; older ones, when they could not run.
    upload(devpi, an_sdist())

    devpi.follow(
        """
        $ devpi test pkg
        posting tox result data to …
        success
        tox command failed 2
        Tests that failed: pkg-1.0.tar.gz.
        [1]
        """,
        **env(devpi, TOX_ENDS="2"),
    )

    assert len(results(devpi)) == 1


def test_a_tox_that_could_not_run_has_no_result(devpi: Client) -> None:
    upload(devpi, an_sdist())

    devpi.follow(
        """
        $ devpi test pkg
        tox left no result that can be read …: nothing is posted
        tox command failed 2
        [1]
        """,
        **env(devpi, TOX_ENDS="2", TOX_SILENT="1"),
    )

    assert results(devpi) == []


def test_a_tox_that_says_nothing_is_a_failure_even_if_the_package_brought_a_report(devpi: Client) -> None:
    upload(devpi, an_sdist(files={"tox.ini": "[tox]", "toxreport.json": "{}", "toxreport0.json": "{}"}))

    devpi.follow(
        """
        $ devpi test pkg
        tox left no result that can be read …
        1 of 1 results did not reach the index
        [1]
        """,
        **env(devpi, TOX_SILENT="1"),
    )

    assert results(devpi) == []


def test_a_result_that_is_refused_is_a_failure(devpi: Client) -> None:
    upload(devpi, an_sdist())
    devpi.lines("devpi index dev acl_toxresult_upload=root")

    devpi.follow(
        """
        $ devpi test pkg
        posting tox result data to …
        403 Forbidden: No permission to upload tox results. You can use the devpi test --no-upload option …
        1 of 1 results did not reach the index
        [1]
        $ devpi test --no-upload pkg
        """,
        **env(devpi),
    )

    assert results(devpi) == []


def test_scripts_get_json_only(devpi: Client) -> None:
    sdist = an_sdist()
    upload(devpi, sdist)
    given = {**devpi.env, **env(devpi, TOX_ENDS="1")}

    done = subprocess.run(
        [OURS, "test", "--json", "pkg"], capture_output=True, text=True, check=False, cwd=devpi.folder, env=given
    )
    listed = json.loads("\n".join(devpi.lines("devpi test --json -l pkg", **env(devpi))))

    url = devpi.href(f"{devpi.me}/dev", sdist)
    about = {"project": "pkg", "version": "1.0", "url": url}
    assert done.returncode == 1
    assert json.loads(done.stdout) == [{**about, "exit_code": 1, "message": "", "result": "posted"}]
    assert "tests pkg-1.0.tar.gz in pkg-1.0" in done.stderr
    assert listed == [about]


def test_tox_gets_the_options_that_are_for_it(devpi: Client) -> None:
    upload(devpi, an_sdist(files={"tox.ini": "[tox]", "ci/tox.ini": "[tox]"}))
    (devpi.folder / "mine.ini").write_text("[tox]")

    devpi.follow(
        """
        $ devpi test --no-upload -e py311 --tox-args='-- -k "not slow"' pkg
        with tox.ini root None env py311
        more ['-k', 'not slow']
        $ devpi test --no-upload -c ci/tox.ini pkg
        with ci/tox.ini root None env None
        $ devpi test --no-upload -c mine.ini pkg
        with …/mine.ini root . env None
        $ devpi test --no-upload -c nowhere.ini pkg
        file does not exist: nowhere.ini
        [1]
        """,
        **env(devpi),
    )


def test_sources_without_a_configuration_take_the_one_to_fall_back_on(devpi: Client) -> None:
    upload(devpi, an_sdist("bare", files={"ci.ini": "[tox]"}), an_sdist("pkg"))
    (devpi.folder / "mine.ini").write_text("[tox]")

    devpi.follow(
        """
        $ devpi test pkg bare
        no tox.ini/pyproject.toml/setup.cfg/tox.toml file found in bare-1.0
        --fallback-ini gives one.
        [1]
        $ devpi test --no-upload --fallback-ini mine.ini bare
        with …/mine.ini root . env None
        $ devpi test --no-upload --fallback-ini ci.ini bare
        with ci.ini root None env None
        $ devpi test --no-upload --fallback-ini mine.ini pkg
        with tox.ini root None env None
        """,
        **env(devpi),
    )

    assert results(devpi) == []


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ({"tox.ini": "", "tox.toml": "", "setup.cfg": "[tox:tox]"}, "tox.ini"),
        ({"setup.cfg": "[tox:tox]", "pyproject.toml": "[tool.tox]"}, "setup.cfg"),
        ({"setup.cfg": "[metadata]", "pyproject.toml": "[tool.tox]", "tox.toml": ""}, "pyproject.toml"),
        ({"setup.cfg": "broken", "pyproject.toml": "broken", "tox.toml": ""}, "tox.toml"),
        ({"setup.cfg": "[metadata]", "pyproject.toml": "tool = 1"}, None),
    ],
    ids=["ini", "setup", "pyproject", "toml", "none"],
)
def test_the_configuration_is_the_one_that_tox_would_take(
    files: dict[str, str], chosen: str | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    found = tox_config(tmp_path)

    assert (found.name if found else None) == chosen


def test_what_cannot_be_tested_is_told_and_tox_is_not_run(devpi: Client) -> None:
    upload(devpi, a_wheel("wheelonly"), an_sdist())

    devpi.follow(
        """
        $ devpi test wheelonly
        wheelonly 1.0: need at least one sdist distribution
        [1]
        $ devpi test 'pkg>=2'
        could not find/receive links for pkg>=2
        [1]
        $ devpi test --select nothing pkg
        no file of pkg 1.0 matches
        [1]
        $ devpi test nowhere
        404 Not Found: …nowhere…
        [1]
        """,
        **env(devpi),
    )
    status, lines = devpi.run("devpi test --select '(' pkg", **env(devpi))

    assert (status, results(devpi)) == (2, [])
    assert "no regular expression" in lines[-1]


def test_without_tox_people_are_told_how_to_get_it(devpi: Client) -> None:
    upload(devpi, an_sdist())
    (devpi.folder / "bin" / "tox").unlink()

    devpi.follow(
        "$ devpi test pkg\nno tox binary found\nInstall it: pip install tox, … pip install 'stilton[test]'\n[1]",
        **env(devpi),
    )

    assert results(devpi) == []


def test_the_tox_of_the_environment_in_use_comes_first(devpi: Client) -> None:
    upload(devpi, an_sdist())
    (devpi.folder / "venv" / "bin").mkdir(parents=True)
    (devpi.folder / "bin" / "tox").rename(devpi.folder / "venv" / "bin" / "tox")

    lines = devpi.lines("devpi test --no-upload pkg", **env(devpi, VIRTUAL_ENV=str(devpi.folder / "venv")))

    assert any("/venv/bin/tox" in line for line in lines)


def test_a_file_that_is_not_what_the_index_promised_is_not_tested(devpi: Client) -> None:
    dist = an_sdist("tampered")
    upload(devpi, dist)
    for path in devpi.server.logfile.parent.rglob(f"*{dist.sha256[16:]}*"):
        path.chmod(0o600)
        path.write_bytes(dist.content[:-1] + b"\1")

    status, lines = devpi.run("devpi test tampered", **env(devpi))

    assert status == 1
    assert any(f"expected {dist.sha256}" in line for line in lines), lines
    assert not [line for line in lines if line.startswith(("tests", "received"))]
    assert list((devpi.folder / "tmp").iterdir()) == []


def test_harmful_sources_are_not_unpacked(devpi: Client) -> None:
    # Our server refuses such an upload; what comes from a mirror nobody has looked at.
    devpi.upstream.add("harmful", an_sdist("harmful", files={"../../../evil": "x", "tox.ini": "[tox]"}))

    status, lines = devpi.run("devpi test harmful", **env(devpi))

    assert status == 1
    assert "harmful-1.0.tar.gz is not unpacked: 'harmful-1.0/../../../evil' may be outside of the folder" in lines
    assert not [line for line in lines if line.startswith("tests")]
    assert list((devpi.folder / "tmp").iterdir()) == []


@contextlib.contextmanager
def started(devpi: Client, *arguments: str, **more: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [OURS, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=devpi.folder, env={**devpi.env, **env(devpi, **more)},
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("told", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
    ids=["interrupted", "terminated"],
)
def test_a_test_that_is_ended_lets_tox_tidy_up_and_leaves_nothing(
    devpi: Client, told: signal.Signals, status: int, word: str
) -> None:
    upload(devpi, an_sdist())

    with started(devpi, "test", "pkg", TOX_WAITS="1") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("more"):
                break
        os.kill(process.pid, told)
        rest = process.stdout.read()
        ended = process.wait(20)

    assert ended == status
    assert rest.splitlines() == ["tox tidies up", word]
    assert list((devpi.folder / "tmp").iterdir()) == []
    assert results(devpi) == []


def test_a_login_is_found_in_all_its_spellings() -> None:
    login = Login(token=("alice", "p@ss/word"))

    kept = without_login({"a": ["http://alice:p%40ss%2Fword@host/", "p@ss/word"], "alice": 1}, login)

    assert kept == {"a": ["http://****@host/", "****"], "alice": 1}
    assert without_login(["a b"], Login(basic=("a", "b"))) == ["a b"]
    assert without_login(["x"], Login()) == ["x"]


def test_pip_and_uv_hear_of_certificates_and_of_trust() -> None:
    simple = "http://index.example:3141/a/dev/+simple/"

    plain = index_environment(simple, Login(), {}, trusted=False)
    full = index_environment(simple, Login(cert="me.pem"), {"PIP_TRUSTED_HOST": "other"}, trusted=True)

    assert plain == dict.fromkeys(("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"), simple)
    assert full == {
        **plain,
        "PIP_CLIENT_CERT": "me.pem",
        "SSL_CLIENT_CERT": "me.pem",
        "PIP_TRUSTED_HOST": "other index.example:3141",
        "UV_INSECURE_HOST": "index.example:3141",
    }


def test_of_the_login_only_a_user_with_a_password_stands_in_a_url() -> None:
    simple = "http://index.example/a/dev/+simple/"

    user = index_environment(simple, Login(token=("a@b", "secret")), {}, trusted=False)
    token = index_environment(simple, Login(basic=("secret", "")), {}, trusted=False)

    assert user["PIP_INDEX_URL"] == simple
    assert user["UV_DEFAULT_INDEX"] == user["UV_INDEX_URL"] == "http://a%40b@index.example/a/dev/+simple/"
    assert set(token.values()) == {simple}

"""`devpi install`: a real pip, or uv, installs from the index as the person who is logged in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.conftest import installed
from tests.support.builders import Dist, a_wheel
from tests.support.devpi import Client
from tests.support.publish import BOUNDARY, a_form, basic, fields_of
from tests.support.server import BIN

SPY = """\
#!/bin/sh
echo "$(basename "$0") $@" trusted "$PIP_TRUSTED_HOST"
exit ${PIP_ENDS:-0}
"""


def upload(devpi: Client, *dists: Dist) -> None:
    for dist in dists:
        name, version = dist.filename.split("-")[:2]
        body = a_form(fields_of(dist, name, version), dist.filename, dist.content)
        status, answer = devpi.server.send(
            "POST", f"/{devpi.me}/dev/", body,
            content_type=f"multipart/form-data; boundary={BOUNDARY}", authorization=basic(devpi.me),
        )  # fmt: skip
        assert status == 200, answer


@pytest.fixture
def venv(devpi: Client) -> Path:
    """An environment without a pip of its own: to make that would take seconds."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", devpi.folder / "venv"], check=True)
    return devpi.folder / "venv"


@pytest.fixture
def with_pip(venv: Path) -> Path:
    a_program(
        venv / "bin" / "pip",
        f'#!/bin/sh\nexec {sys.executable} -m pip --disable-pip-version-check --python {venv}/bin/python "$@"\n',
    )
    return venv


def a_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def has(venv: Path) -> dict[str, str]:
    return installed(next(venv.glob("lib/*/site-packages")))


def token(devpi: Client) -> str:
    auth = json.loads((devpi.folder / ".devpi" / "client" / "auth.json").read_text())
    return str(next(iter(auth["auth"].values()))[0][1])


def test_pip_installs_from_a_private_index_and_the_login_is_not_shown(devpi: Client, with_pip: Path) -> None:
    upload(devpi, a_wheel("secret", "1.0"), a_wheel("secret", "2.0rc1", requires=("dep",)))
    devpi.lines("devpi index dev acl_pkg_read=ME")

    lines = devpi.lines("devpi --debug install --venv venv secret")

    assert has(with_pip) == {"secret": "2.0rc1", "dep": "1.5"}
    assert f"--> {devpi.folder}$ {with_pip}/bin/pip install -U secret" in lines
    assert token(devpi) not in "\n".join(lines)


def test_pre_releases_can_be_left_out_and_files_can_say_what_to_install(devpi: Client, with_pip: Path) -> None:
    upload(devpi, a_wheel("pkg", "1.0"), a_wheel("pkg", "2.0rc1"))
    (devpi.folder / "one.txt").write_text("pkg")
    (devpi.folder / "two.txt").write_text("dep<1.5")

    devpi.lines("devpi install -r one.txt two.txt", PIP_PRE="0", VIRTUAL_ENV=str(with_pip))

    assert has(with_pip) == {"pkg": "1.0", "dep": "1.0"}


def test_uv_installs_where_there_is_no_pip(devpi: Client, venv: Path) -> None:
    upload(devpi, a_wheel("secret", "1.0"), a_wheel("secret", "2.0rc1"))
    devpi.lines("devpi index dev acl_pkg_read=ME")
    a_program(devpi.folder / "bin" / "pip", SPY)

    lines = devpi.lines("devpi install --venv venv secret", PATH=f"{devpi.folder / 'bin'}:{BIN}:/usr/bin:/bin")

    assert has(venv) == {"secret": "2.0rc1"}
    assert f"--> {devpi.folder}$ {BIN}/uv pip install --python {venv}/bin/python -U secret" in lines
    assert token(devpi) not in "\n".join(lines)


def test_a_pip_from_elsewhere_is_told_which_environment_is_meant(devpi: Client, venv: Path) -> None:
    a_program(devpi.folder / "bin" / "pip", SPY)
    path = f"{devpi.folder / 'bin'}:/usr/bin:/bin"

    lines = devpi.lines("devpi install -e ./here --venv venv dep", PATH=path)
    named = devpi.lines("devpi install --venv venv dep", PATH=path, WORKON_HOME=str(devpi.folder))
    none = devpi.lines("devpi install dep", PATH=path)

    assert lines[-1] == f"pip --python {venv}/bin/python install -U -e ./here dep trusted"
    assert named[-1] == f"pip --python {venv}/bin/python install -U dep trusted"
    assert none[-1] == "pip install -U dep trusted"


def test_the_host_is_trusted_if_that_was_set(devpi: Client) -> None:
    a_program(devpi.folder / "bin" / "pip", SPY)
    path = f"{devpi.folder / 'bin'}:/usr/bin:/bin"
    state = devpi.folder / ".devpi" / "client" / "current.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "settrusted": True}))

    lines = devpi.lines("devpi install dep", PATH=path, PIP_TRUSTED_HOST="other")

    assert lines[-1] == f"pip install -U dep trusted other 127.0.0.1:{devpi.server.port}"


def test_a_password_in_what_is_installed_is_not_shown(devpi: Client) -> None:
    a_program(devpi.folder / "bin" / "pip", "#!/bin/sh\n")

    lines = devpi.lines("devpi install 'x @ https://me:geheim@h/x.whl'", PATH=f"{devpi.folder / 'bin'}:/bin")

    assert lines == [f"--> {devpi.folder}$ {devpi.folder}/bin/pip install -U 'x @ https://****@h/x.whl'"]


def test_what_pip_cannot_install_fails_and_nothing_is_installed(devpi: Client, with_pip: Path) -> None:
    devpi.follow("""
        $ devpi install --venv venv dep nowhere
        ERROR: No matching distribution found for nowhere
        pip install failed with exit code 1
        [1]
    """)

    assert has(with_pip) == {}


def test_installed_packages_are_listed(devpi: Client, with_pip: Path) -> None:
    devpi.lines("devpi install --venv venv dep")

    listed = devpi.lines("devpi install -l --venv venv")
    status, lines = devpi.run("devpi install -l --json --venv venv")

    assert listed[0] == f"list of installed packages on {with_pip}"
    assert "dep     1.5" in listed
    assert status == 0
    assert json.loads("\n".join(lines)) == {
        "venv": str(with_pip),
        "packages": [{"name": "dep", "version": "1.5"}],
    }


def test_scripts_get_json_of_an_installation(devpi: Client) -> None:
    a_program(devpi.folder / "bin" / "pip", SPY)

    status, lines = devpi.run(
        "devpi install --json --index prod dep", PATH=f"{devpi.folder / 'bin'}:/usr/bin:/bin", PIP_ENDS="7"
    )

    start, end = lines.index("{"), lines.index("}")
    assert status == 1
    assert json.loads("\n".join(lines[start : end + 1])) == {
        "index": f"{devpi.server.url}/{devpi.me}/prod",
        "installer": f"{devpi.folder}/bin/pip",
        "exit_code": 7,
    }


def test_what_cannot_work_is_told_before_anything_runs(devpi: Client, venv: Path) -> None:
    (venv / "bin" / "python").unlink()

    devpi.follow(
        """
        $ devpi install dep
        no pip binary found
        [1]
        $ devpi install --venv nowhere dep
        No virtualenv found at: …
        [1]
        $ devpi install --venv venv dep
        …venv has neither pip nor python
        [1]
        """,
        PATH="/nowhere",
    )
    status, lines = devpi.run("devpi install")

    assert status == 2
    assert lines[-1] == "Error: Say what to install: devpi install PKG"

"""Our `devpi` against a real devpi-server: the README's walk, and what that server does not tell."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.conftest import installed
from tests.support.builders import a_wheel, an_sdist
from tests.support.devpi import DEVPI_BIN, Client, Yard, a_doc_zip, their_yard

pytestmark = pytest.mark.skipif(
    not (DEVPI_BIN / "devpi-server").exists(), reason="devpi-server is not installed: make .venv-devpi/.done"
)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with their_yard(tmp_path_factory.mktemp("devpi") / "server") as made:
        yield made


@pytest.fixture
def devpi(yard: Yard, tmp_path: Path) -> Client:
    return yard.client(tmp_path / "home")


def test_users_and_indexes_are_made_changed_and_removed(devpi: Client) -> None:
    devpi.follow("""
        $ devpi --version
        current devpi server: SERVER/
        devpi-server 6.…
        $ devpi user -m ME email=me@example.com title=Somebody
        /ME changing email: me@example.com
        /ME changing title: Somebody
        user modified: ME
        $ devpi user
        SERVER/ME:
          email=me@example.com
          title=Somebody
        $ devpi user -l
        root
        ME
        $ devpi index -c extra bases=ME/dev volatile=False
        SERVER/ME/extra?no_projects=:
          type=stage
          bases=ME/dev
          volatile=False
        $ devpi index extra volatile=True acl_upload+=root bases-=ME/dev
        /ME/extra volatile=True
        /ME/extra acl_upload+=root
        /ME/extra bases-=ME/dev
          bases=
          volatile=True
          acl_upload=ME,root
        $ devpi index -l
        ME/dev
        ME/extra
        ME/prod
        $ devpi use -l --user ME
        ME/dev …bases=root/pypi       volatile=True
        ME/extra …bases=                volatile=True
        ME/prod …bases=root/pypi       volatile=False
        $ devpi index -y --delete extra
        About to remove: SERVER/ME/extra
        index deleted: SERVER/ME/extra
        $ devpi index extra
        404 Not Found: The stage ME/extra could not be found.
        [1]
        $ devpi user -c ME password=12345678
        409 Conflict: user already exists
        [1]
        $ devpi logoff
        login information deleted
        $ devpi index -c more
        you need to be logged in (use 'devpi login USER')
        [1]
        $ devpi login ME --password wrong
        401 Unauthorized: user 'ME' could not be authenticated
        [1]
    """)


def test_a_new_password_keeps_its_owner_logged_in(devpi: Client) -> None:
    devpi.follow("$ devpi passwd\n/ME changing password: ********\nuser modified: ME", typed="long enough\n" * 2)
    devpi.follow("$ devpi use\ncurrent devpi index: SERVER/ME/dev (logged in as ME)")
    devpi.follow("$ devpi login ME --password-stdin\nlogged in 'ME' at…", typed="long enough\n")


def test_files_go_up_are_listed_pushed_and_removed(devpi: Client) -> None:
    devpi.has(*(a_wheel("pkg", version) for version in ("1.0", "2.0")), an_sdist("pkg", "2.0"))
    a_doc_zip(devpi.folder / "docs", "pkg-2.0.doc.zip")

    devpi.follow("""
        $ devpi upload --from-dir dist docs
        file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        file_upload of pkg-2.0-py3-none-any.whl to SERVER/ME/dev/
        file_upload of pkg-2.0.tar.gz to SERVER/ME/dev/
        doc_upload of pkg-2.0.doc.zip to SERVER/ME/dev/
        $ devpi upload --from-dir dist
        already there: pkg-1.0-py3-none-any.whl
        already there: pkg-2.0-py3-none-any.whl
        already there: pkg-2.0.tar.gz
        $ devpi list
        pkg
        $ devpi list -v
        pkg==2.0
        $ devpi list pkg==2.0
        SERVER/ME/dev/+f/…/pkg-2.0-py3-none-any.whl
        SERVER/ME/dev/+f/…/pkg-2.0.tar.gz
        $ devpi list dep
        SERVER/root/pypi/+f/…/dep-1.5-py3-none-any.whl
        SERVER/root/pypi/+f/…/dep-1.0-py3-none-any.whl
        $ devpi push pkg==2.0 ME/prod
        200 register pkg 2.0 -> ME/prod
        200 store_releasefile ME/prod/+f/…/pkg-2.0-py3-none-any.whl
        200 store_releasefile ME/prod/+f/…/pkg-2.0.tar.gz
        200 store_doczip pkg 2.0 -> ME/prod
        $ devpi push pkg==3.0 ME/prod
        400 Bad Request: there are no files for pkg 3.0 on stage ME/dev
        [1]
        $ devpi remove --index prod -y pkg==2.0
        403 Forbidden: cannot delete version on non-volatile index
        [1]
        $ devpi remove --index prod -y -f pkg==2.0
        deleting release 2.0 of pkg
        $ devpi remove -y --forget pkg
        the server SERVER/ keeps no names: when a project is gone, mirrors answer for it at once
        Remove it without --forget: devpi remove pkg
        [1]
        $ devpi remove -y pkg==1.0
        version: 1.0
        deleting release 1.0 of pkg
        $ devpi list --all pkg
        SERVER/ME/dev/+f/…/pkg-2.0-py3-none-any.whl
        SERVER/ME/dev/+f/…/pkg-2.0.tar.gz
        $ devpi refresh dep
        Refreshed dep
    """)


def test_another_file_of_the_same_name_is_refused_with_the_server_s_words(devpi: Client) -> None:
    devpi.has(a_wheel("pkg", "1.0"))
    devpi.lines("devpi upload --index prod --from-dir dist")
    devpi.has(a_wheel("pkg", "1.0", payload=b"other"))

    devpi.follow("""
        $ devpi upload --index prod --from-dir dist
        409 FAIL file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/prod/
        pkg-1.0-py3-none-any.whl already exists in non-volatile index
        POST to SERVER/ME/prod/ FAILED
        [1]
        $ devpi upload --index root/pypi --from-dir dist
        The current index SERVER/root/pypi does not support upload.
        [1]
    """)


def test_json_is_got_and_patched(devpi: Client) -> None:
    (devpi.folder / "patch.json").write_text('["title=Ours"]')

    devpi.lines("devpi patchjson /ME/dev patch.json")
    got = json.loads("\n".join(devpi.lines("devpi getjson '/ME/dev?no_projects='")))

    assert got["result"]["title"] == "Ours"


def test_pip_installs_what_was_uploaded_and_what_is_mirrored(devpi: Client) -> None:
    devpi.has(a_wheel("pkg", "1.0", requires=("dep",)))
    devpi.lines("devpi upload --from-dir dist")
    subprocess.run(["python3", "-m", "venv", devpi.folder / "venv"], check=True, env=devpi.env, timeout=120)

    lines = devpi.lines("devpi install --venv venv pkg")

    (site,) = (devpi.folder / "venv" / "lib").glob("python*/site-packages")
    assert {"pkg", "dep"} <= installed(site).keys()
    auth = json.loads((devpi.folder / ".devpi/client/auth.json").read_text())
    assert auth["auth"][f"{devpi.server.url}/"][0][1] not in "\n".join(lines)


def test_what_this_server_does_not_tell_is_said(devpi: Client) -> None:
    status = "\n".join(devpi.lines("devpi status"))
    explained = "\n".join(devpi.lines("devpi explain dep"))

    assert re.search(r"6\.\d+", status)
    assert "root/pypi" in explained


def test_a_server_s_cache_is_filled(devpi: Client) -> None:
    lines = devpi.lines("devpi prime dep")

    assert any("dep-1.5" in line or "dep 1.5" in line or "1 file" in line for line in lines), lines

"""The commands of devpi, typed at a running server: what must come back."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.compat.conftest import installed
from tests.support.builders import Dist, a_wheel, an_sdist, metadata_of
from tests.support.devpi import OURS, ROOT, THEIRS, Client, Yard, a_doc_zip, a_yard
from tests.support.publish import PASSWORD, basic
from tests.support.server import BIN, a_server, run
from tests.support.world import make_serverdir


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with a_yard(tmp_path_factory.mktemp("devpi") / "server") as made:
        yield made


@pytest.fixture(params=[OURS, THEIRS], ids=["ours", "devpi-client"])
def tool(request: pytest.FixtureRequest) -> Path:
    """What scripts read must be the same, whichever command is there."""
    found: Path = request.param
    return found


@pytest.fixture
def devpi(yard: Yard, tmp_path: Path, tool: Path) -> Client:
    return yard.client(tmp_path / "home", tool)


# -- users and indexes ----------------------------------------------------------------------------


def test_a_new_server_is_set_up(yard: Yard, tmp_path: Path, tool: Path) -> None:
    made = run("devpi-init", "--serverdir", str(tmp_path / "server"), "--mirror-url", yard.upstream.url)
    assert made.returncode == 0, made.stderr
    (tmp_path / "home").mkdir()
    with a_server(tmp_path / "server") as server:
        devpi = Client(server, yard.upstream, tmp_path / "home", tool=tool)
        devpi.follow("""
            $ devpi use SERVER
            using server: SERVER/ (not logged in)
            no current index: type 'devpi use -l' to discover indices
            $ devpi login root --password ''
            logged in 'root', credentials valid for 10.00 hours
            $ devpi user -m root password=a-better-one
            /root changing password: ********
            user modified: root
            $ devpi login root --password ''
            401 Unauthorized: user 'root' could not be authenticated…
            [1]
            $ devpi login root --password a-better-one
            logged in 'root', credentials valid for 10.00 hours
            $ devpi user -c team email=team@example.org password=123
            user created: team
            $ devpi index -c root/python-local mirror_url=UPSTREAM type=mirror volatile=False title="Near by"
            SERVER/root/python-local?no_projects=:
              type=mirror
              volatile=False
              mirror_url=UPSTREAM
              title=Near by
            $ devpi index root/pypi mirror_use_external_urls=True
            /root/pypi mirror_use_external_urls=True
            mirror_use_external_urls=True
            $ devpi index root/pypi mirror_use_external_urls=False
            mirror_use_external_urls=False
            $ devpi index -c local bases='root/python-local,root/pypi' title='All there is'
            SERVER/root/local?no_projects=:
              type=stage
              bases=root/python-local,root/pypi
              volatile=True
              acl_upload=root
              title=All there is
            $ devpi use root/local
            current devpi index: SERVER/root/local (logged in as root)
            supported features: push-no-docs, push-only-docs, push-register-project, server-keyvalue-parsing
            $ devpi list dep==1.5
            SERVER/root/python-local/+f/…/dep-1.5-py3-none-any.whl
            $ devpi login team --password 123
            logged in 'team' at 'SERVER/root/local', credentials valid for 10.00 hours
            $ devpi index -c dev bases=root/pypi
            SERVER/team/dev?no_projects=:
              bases=root/pypi
              acl_upload=team
            $ devpi use --urls dev
            current devpi index: SERVER/team/dev (logged in as team)
                          login: SERVER/+login
                     pypisubmit: SERVER/team/dev/
                    simpleindex: SERVER/team/dev/+simple/
            $ devpi use -l
            root/local      bases=root/python-local,root/pypi volatile=True
            root/pypi       bases=                volatile=False
            root/python-local bases=                volatile=False
            team/dev        bases=root/pypi       volatile=True
            $ devpi use -l --user team
            team/dev        bases=root/pypi       volatile=True
            $ devpi user -l
            root
            team
            $ devpi --version
            current devpi server: SERVER/
            devpi-server 7.…
        """)


def test_an_index_is_changed_key_by_key(devpi: Client) -> None:
    devpi.follow("""
        $ devpi index dev title=Ours acl_upload+=bob bases-=root/pypi
        /ME/dev title=Ours
        /ME/dev acl_upload+=bob
        /ME/dev bases-=root/pypi
        SERVER/ME/dev?no_projects=:
          bases=
          acl_upload=ME,bob
          title=Ours
        $ devpi index ME/dev acl_upload-=bob title-= bases+=root/pypi
          bases=root/pypi
          acl_upload=ME
        $ devpi index ME/dev nonsense=1
        PATCH SERVER/ME/dev
        400 Bad Request: …nonsense…
        [1]
        $ devpi index ME/dev bases=root/pypi,ME/nowhere
        400 Bad Request: …ME/nowhere…
        [1]
        $ devpi index -c dev
        409 Conflict: …ME/dev…
        [1]
        $ devpi index -l
        ME/dev
        ME/prod
    """)

    assert devpi.get(f"/{devpi.me}/dev?no_projects") == {
        "type": "stage",
        "volatile": True,
        "bases": ["root/pypi"],
        "acl_upload": [devpi.me],
        "acl_pkg_read": [":ANONYMOUS:"],
        "acl_toxresult_upload": [":ANONYMOUS:"],
        "mirror_whitelist": [],
        "mirror_whitelist_inheritance": "intersection",
    }


def test_a_user_is_changed_key_by_key(devpi: Client) -> None:
    devpi.follow("""
        $ devpi user -m ME email=me@example.org title="Who I am"
        /ME changing email: me@example.org
        /ME changing title: Who I am
        user modified: ME
        $ devpi user ME title=
        user modified: ME
        $ devpi user -m ME shoes=44
        400 Bad Request: …shoes
        [1]
        $ devpi user
        SERVER/ME:
          created=…Z
          email=me@example.org
          modified=…Z
    """)

    user = devpi.get(f"/{devpi.me}")
    assert set(user) == {"username", "email", "created", "modified", "indexes"}


def test_an_index_and_a_user_are_removed(devpi: Client) -> None:
    devpi.follow("""
        $ devpi index -y --delete dev
        About to remove: SERVER/ME/dev
        index deleted: SERVER/ME/dev
        $ devpi list
        404 Not Found: The stage ME/dev could not be found.
        [1]
        $ devpi use ME/dev
        404 Not Found: The stage ME/dev could not be found.
        [1]
        $ devpi index -y --delete prod
        403 Forbidden: index ME/prod non-volatile, cannot delete
        [1]
        $ devpi user -y --delete ME
        403 Forbidden: user 'ME' has non-volatile index: prod
        [1]
        $ devpi index prod volatile=True
        volatile=True
        $ devpi index -y --delete prod
        index deleted: SERVER/ME/prod
        $ devpi user -y --delete root
        403 Forbidden: no permission to delete user root
        [1]
        $ devpi user -y --delete ME
        About to remove: SERVER/ME
        user deleted: ME
        $ devpi login ME --password x
        401 Unauthorized: user 'ME' could not be authenticated…
        [1]
    """)

    assert devpi.me not in devpi.get("/")


def test_logging_off_forgets_the_token(devpi: Client) -> None:
    devpi.follow("""
        $ devpi logoff
        login information deleted
        $ devpi logoff
        not logged in
        $ devpi use
        current devpi index: SERVER/ME/dev (not logged in)
        $ devpi user -m ME email=me@example.org
        401 Unauthorized: no permission to modify user ME
        [1]
    """)

    assert "email" not in devpi.get(f"/{devpi.me}")


def test_a_password_is_changed_by_typing_it_twice(devpi: Client) -> None:
    devpi.follow("$ devpi passwd\n/ME changing password: ********\nuser modified: ME", typed="long enough\n" * 2)
    devpi.follow("""
        $ devpi login ME --password 'a good password'
        401 Unauthorized: user 'ME' could not be authenticated…
        [1]
        $ devpi login ME --password 'long enough'
        logged in 'ME' at 'SERVER/ME/dev', credentials valid for 10.00 hours
    """)


def test_who_lost_his_login_is_told_so(devpi: Client, yard: Yard) -> None:
    devpi.has(a_wheel())

    yard.send("PATCH", f"/{devpi.me}", {"password": "set by root"})

    devpi.follow("""
        $ devpi upload --from-dir dist
        (theirs) 401 FAIL file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        (theirs) no permission to submit to ME/dev…The user name, password or token that was sent is not right, or …
        (ours) The login of 'ME' has ended
        [1]
        $ devpi use
        current devpi index: SERVER/ME/dev (not logged in)
        $ devpi login ME --password 'set by root'
        logged in 'ME' at 'SERVER/ME/dev', credentials valid for 10.00 hours
        $ devpi upload --from-dir dist
        file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
    """)


def test_others_may_read_a_public_index_and_change_nothing(devpi: Client, yard: Yard, tmp_path: Path) -> None:
    devpi.has(a_wheel())
    devpi.lines("devpi upload --from-dir dist")
    other = yard.client(tmp_path / "other", devpi.tool)
    other.me, mine = devpi.me, other.me
    other.has(a_wheel("pkg", "2.0"))

    other.follow("""
        $ devpi use ME/dev
        current devpi index: SERVER/ME/dev (logged in as …)
        $ devpi list
        pkg
        $ devpi upload --from-dir dist
        403 FAIL file_upload of pkg-2.0-py3-none-any.whl to SERVER/ME/dev/
        no permission to submit to ME/dev
        [1]
        $ devpi remove -y pkg
        403 Forbidden: no permission to remove from ME/dev
        [1]
        $ devpi index -y --delete ME/dev
        403 Forbidden: no permission to delete an index ME/dev
        [1]
        $ devpi index ME/dev title=Mine
        403 Forbidden: no permission to modify an index ME/dev
        [1]
        $ devpi index -c ME/mine
        403 Forbidden: no permission to create index ME/mine
        [1]
        $ devpi user -m ME email=mine@example.org
        403 Forbidden: no permission to modify user ME
        [1]
        $ devpi user -y --delete ME
        403 Forbidden: no permission to delete user ME
        [1]
    """)

    assert mine != devpi.me
    assert devpi.lines("devpi list pkg") == [devpi.href(f"{devpi.me}/dev", a_wheel())]
    assert set(devpi.get(f"/{devpi.me}")) == {"username", "created", "indexes"}


def test_a_private_index_is_for_those_who_may_read_it(devpi: Client, yard: Yard, tmp_path: Path) -> None:
    devpi.has(a_wheel())
    devpi.lines("devpi upload --from-dir dist")
    devpi.lines("devpi index dev acl_pkg_read=ME")
    other = yard.client(tmp_path / "other", devpi.tool)
    other.me, mine = devpi.me, other.me

    other.follow("""
        $ devpi use ME/dev
        403 Forbidden: package read forbidden: ME/dev is not for everybody
        …You don't have permission to access this index.
        $ devpi list pkg
        403 Forbidden: package read forbidden: ME/dev is not for everybody
        [1]
        $ devpi getjson SERVER/ME
        "username": "ME"
    """)

    listed = {line.split()[0] for line in other.lines("devpi use -l")[1:]}
    assert {f"{mine}/dev", f"{devpi.me}/prod"} <= listed
    assert f"{devpi.me}/dev" not in listed
    assert devpi.lines("devpi list pkg") == [devpi.href(f"{devpi.me}/dev", a_wheel())]


# -- uploads --------------------------------------------------------------------------------------


def test_a_folder_is_uploaded_and_may_be_again(devpi: Client) -> None:
    dists = (a_wheel("pkg", "1.0", requires=("dep",)), an_sdist("pkg", "1.0"))
    devpi.has(*dists)

    devpi.follow("""
        $ devpi upload --dry-run --from-dir dist
        skipped: file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        skipped: file_upload of pkg-1.0.tar.gz to SERVER/ME/dev/
        $ devpi list pkg
        404 Not Found: The project pkg does not exist on ME/dev.
        [1]
        $ devpi upload --from-dir dist
        file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        file_upload of pkg-1.0.tar.gz to SERVER/ME/dev/
        $ devpi upload --from-dir dist
        (theirs) file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        (theirs) file_upload of pkg-1.0.tar.gz to SERVER/ME/dev/
        (ours) already there: pkg-1.0-py3-none-any.whl
        (ours) already there: pkg-1.0.tar.gz
        $ devpi upload --index ME/prod dist/pkg-1.0.tar.gz
        file_upload of pkg-1.0.tar.gz to SERVER/ME/prod/
        $ devpi upload --index root/pypi --from-dir dist
        (theirs) 404 FAIL file_upload of pkg-1.0-py3-none-any.whl to SERVER/root/pypi/
        (theirs) cannot submit to mirror index root/pypi
        (ours) The current index SERVER/root/pypi does not support upload.
        [1]
    """)

    me = devpi.me
    assert devpi.lines("devpi list pkg") == [devpi.href(f"{me}/dev", dist) for dist in dists]
    assert devpi.lines("devpi list --index prod pkg") == [devpi.href(f"{me}/prod", dists[1])]
    assert devpi.get(f"/{me}/dev/pkg/1.0")["requires_dist"] == ["dep"]


def test_another_file_replaces_the_old_one_only_on_a_volatile_index(devpi: Client) -> None:
    old, new = a_wheel(), a_wheel(payload=b"changed")
    devpi.has(old)
    devpi.lines("devpi upload --from-dir dist")
    devpi.lines("devpi upload --index prod --from-dir dist")
    devpi.has(new)

    devpi.follow("""
        $ devpi upload --from-dir dist
        file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        $ devpi upload --index ME/prod --from-dir dist
        409 FAIL file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/prod/
        pkg-1.0-py3-none-any.whl already exists in non-volatile index
        POST to SERVER/ME/prod/ FAILED
        [1]
    """)

    assert devpi.lines("devpi list pkg") == [devpi.href(f"{devpi.me}/dev", new)]
    assert devpi.lines("devpi list --index prod pkg") == [devpi.href(f"{devpi.me}/prod", old)]


def test_a_broken_file_is_refused_with_the_reason(devpi: Client) -> None:
    wheel = a_wheel()
    # Its central directory says other sizes than its members do.
    broken = bytearray(wheel.content)
    at = broken.rindex(b"PK\x01\x02")
    broken[at + 24 : at + 28] = (1).to_bytes(4, "little")
    devpi.has(Dist(wheel.filename, bytes(broken), wheel.metadata))

    devpi.follow("""
        $ devpi upload --from-dir dist
        400 FAIL file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        pkg-1.0-py3-none-any.whl: …
        POST to SERVER/ME/dev/ FAILED
        [1]
    """)

    assert devpi.lines("devpi list") == []


def test_a_project_is_built_and_uploaded(devpi: Client) -> None:
    (devpi.folder / "built.py").write_text('"""Built here."""\n__version__ = "1.0"\n')
    (devpi.folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
        '[project]\nname = "built"\ndynamic = ["version", "description"]\nrequires-python = ">=3.11"\n'
    )

    python = THEIRS.parent / "python"  # it has the backend
    devpi.follow(
        """
        $ devpi upload --no-isolation --no-vcs -p PYTHON
        built: dist/built-1.0-py3-none-any.whl …kb
        built: dist/built-1.0.tar.gz …kb
        file_upload of built-1.0-py3-none-any.whl to SERVER/ME/dev/
        file_upload of built-1.0.tar.gz to SERVER/ME/dev/
        $ devpi list -v
        built==1.0
    """.replace("PYTHON", str(python))
    )

    assert devpi.get(f"/{devpi.me}/dev/built/1.0")["summary"] == "Built here."


def test_releases_are_listed_newest_first(devpi: Client) -> None:
    wheels = [a_wheel("pkg", f"{number}.0") for number in (10, 9, 3, 2, 1)]
    devpi.has(*wheels, a_wheel("dep", "0.9"))
    index = f"{devpi.me}/dev"

    devpi.follow("""
        $ devpi upload --from-dir --only-latest dist
        file_upload of dep-0.9-py3-none-any.whl to SERVER/ME/dev/
        file_upload of pkg-10.0-py3-none-any.whl to SERVER/ME/dev/
        $ devpi upload --from-dir dist
        file_upload of pkg-2.0-py3-none-any.whl to SERVER/ME/dev/
        $ devpi list -v
        dep==0.9
        pkg==10.0
    """)
    hrefs = [devpi.href(index, wheel) for wheel in wheels]

    assert devpi.lines("devpi list") == ["dep", "pkg"]
    assert devpi.lines("devpi list pkg") == [*hrefs[:3], "2 older versions not shown, use --all to see"]
    assert devpi.lines("devpi list --all pkg") == hrefs
    assert devpi.lines("devpi list 'pkg>=3,<10'") == hrefs[1:3]
    # A name that is ours is not looked for upstream.
    assert devpi.lines("devpi list dep") == [devpi.href(index, a_wheel("dep", "0.9"))]
    theirs = [devpi.href("root/pypi", a_wheel("dep", version)) for version in ("1.5", "1.0")]
    assert devpi.lines("devpi list --index root/pypi dep") == theirs
    assert devpi.lines("devpi list dep", DEVPI_INDEX="root/pypi")[1:] == theirs
    assert devpi.lines("devpi list --index prod dep") == theirs
    assert devpi.run("devpi list --index prod --ignore-bases dep")[0] == 1


# -- documentation and test results -----------------------------------------------------------------


def test_documentation_is_uploaded_and_pushed_or_not(devpi: Client) -> None:
    wheel = a_wheel()
    devpi.has(wheel)
    a_doc_zip(devpi.folder / "docs", "pkg-1.0.doc.zip")
    a_doc_zip(devpi.folder / "docs", "nothing.doc.zip")
    with tarfile.open(devpi.folder / "pkg.doc.tgz", "w:gz") as archive:
        archive.add(devpi.folder / "docs" / "pkg-1.0.doc.zip", "index.html")

    devpi.follow("""
        $ devpi upload dist/pkg-1.0-py3-none-any.whl docs/pkg-1.0.doc.zip
        file_upload of pkg-1.0-py3-none-any.whl to SERVER/ME/dev/
        doc_upload of pkg-1.0.doc.zip to SERVER/ME/dev/
        $ devpi upload docs/nothing.doc.zip
        400 FAIL doc_upload of nothing.doc.zip to SERVER/ME/dev/
        doczip has no version and 'nothing' has no releases to derive one from
        [1]
        $ devpi push --no-docs pkg==1.0 ME/prod
        200 register pkg 1.0 -> ME/prod
        200 store_releasefile ME/prod/+f/…/pkg-1.0-py3-none-any.whl
    """)
    without = devpi.get(f"/{devpi.me}/prod/pkg/1.0")["+links"]
    only = devpi.lines("devpi push --only-docs pkg==1.0 ME/prod")
    with_docs = devpi.get(f"/{devpi.me}/prod/pkg/1.0")["+links"]
    devpi.follow("""
        $ devpi upload pkg.doc.tgz
        repackaged pkg.doc.tgz to pkg.doc.zip
        doc_upload of pkg.doc.zip to SERVER/ME/dev/
    """)

    assert [link["rel"] for link in without] == ["releasefile"]
    assert only == [f"   200 store_doczip pkg 1.0 -> {devpi.me}/prod"]
    assert sorted(link["rel"] for link in with_docs) == ["doczip", "releasefile"]
    # A newer documentation takes the place of the old one.
    ours = [link for link in devpi.get(f"/{devpi.me}/dev/pkg/1.0")["+links"] if link["rel"] == "doczip"]
    assert len(ours) == 1
    assert ours[0]["hash_spec"] not in {link["hash_spec"] for link in with_docs}


TOX = """\
import json, os, sys
report = sys.argv[sys.argv.index("--result-json") + 1]
step = {"command": ["pytest"], "output": "1 failed", "retcode": "1"}
env = {"python": {"version": "3.11.2"}, "setup": [{**step, "retcode": "0"}], "test": [step]}
with open(report, "w") as out:
    json.dump({"platform": "linux", "host": "here", "testenvs": {"py311": env}}, out)
print("index:", os.environ["PIP_INDEX_URL"])
sys.exit(1)
"""


def test_a_release_is_tested_and_its_result_is_kept(devpi: Client) -> None:
    # tox itself would want to make environments; what it says is what counts.
    (devpi.folder / "bin").mkdir()
    (devpi.folder / "bin" / "tox").write_text(f"#!{sys.executable}\n{TOX}")
    (devpi.folder / "bin" / "tox").chmod(0o755)
    (devpi.folder / "tox.ini").write_text("[tox]\n")
    path = f"{devpi.folder / 'bin'}:{devpi.env['PATH']}"
    sdist = an_sdist()
    devpi.has(sdist)
    devpi.lines("devpi upload --from-dir dist")
    devpi.lines("devpi index dev acl_pkg_read=ME")

    devpi.follow(
        """
        $ devpi test --list pkg
        would test:
        SERVER/ME/dev/+f/…/pkg-1.0.tar.gz
        $ devpi test --fallback-ini tox.ini pkg
        received http://…/ME/dev/+f/…/pkg-1.0.tar.gz
        (theirs) index: http://ME:…@…/ME/dev/+simple/
        (ours) index: SERVER/ME/dev/+simple/
        posting tox result data to SERVER/ME/dev/+f/…/pkg-1.0.tar.gz
        success
        tox command failed 1
        [1]
        $ devpi index dev acl_pkg_read=:ANONYMOUS:
        acl_pkg_read=:ANONYMOUS:
        $ devpi list -t pkg
        SERVER/ME/dev/+f/…/pkg-1.0.tar.gz
        here       linux   py311      3.11.2 tests failed
        $ devpi list -f pkg
        FAIL: pytest
        1 failed
        $ devpi index dev acl_toxresult_upload=root
        acl_toxresult_upload=root
        $ devpi test --fallback-ini tox.ini pkg
        403 Forbidden: No permission to upload tox results. You can use the devpi test --no-upload option to skip …
        [1]
        $ devpi push pkg==1.0 ME/prod
        200 register pkg 1.0 -> ME/prod
        200 store_releasefile ME/prod/+f/…/pkg-1.0.tar.gz
        200 store_toxresult ME/prod/+f/…/pkg-1.0.tar.gz.toxresult-…
        $ devpi list --index prod -t pkg
        here       linux   py311      3.11.2 tests failed
        """,
        PATH=path,
    )

    links = devpi.get(f"/{devpi.me}/dev/pkg/1.0")["+links"]
    assert [link["rel"] for link in links] == ["releasefile", "toxresult"]
    assert links[1]["for_href"] == links[0]["href"] == devpi.href(f"{devpi.me}/dev", sdist)


# -- pushes ---------------------------------------------------------------------------------------


def test_a_release_is_pushed_to_another_index_and_may_be_again(devpi: Client) -> None:
    dists = (a_wheel(), an_sdist())
    devpi.has(*dists)
    devpi.lines("devpi upload --from-dir dist")
    pushed = """
        $ devpi push pkg==1.0 ME/prod
        200 register pkg 1.0 -> ME/prod
        200 store_releasefile ME/prod/+f/…/pkg-1.0-py3-none-any.whl
        200 store_releasefile ME/prod/+f/…/pkg-1.0.tar.gz
    """

    devpi.follow(pushed)
    devpi.follow(pushed)
    devpi.follow("""
        $ devpi push --index root/pypi dep==1.5 ME/prod
        200 register dep 1.5 -> ME/prod
        200 store_releasefile ME/prod/+f/…/dep-1.5-py3-none-any.whl
        $ devpi push pkg==9 ME/prod
        404 Not Found: no release/files found for pkg 9
        [1]
        $ devpi push dep==1.5 ME/prod
        404 Not Found: no release/files found for dep 1.5
        [1]
        $ devpi push pkg==1.0 ME/nowhere
        404 Not Found: The stage ME/nowhere could not be found.
        [1]
    """)

    assert devpi.lines("devpi list --index prod pkg") == [devpi.href(f"{devpi.me}/prod", dist) for dist in dists]
    assert devpi.get(f"/{devpi.me}/prod")["projects"] == ["dep", "pkg"]
    assert devpi.lines("devpi list --index prod dep") == [devpi.href(f"{devpi.me}/prod", a_wheel("dep", "1.5"))]


def test_names_and_versions_may_be_spelled_in_other_ways(devpi: Client) -> None:
    devpi.has(
        *(a_wheel("pkg", version) for version in ("1!1.0", "1.0+local.1", "1.0.0", "1.0rc1")),
        a_wheel("zope_interface", "1.0.0", metadata=metadata_of("Zope.Interface", "1.0.0")),
    )

    devpi.follow("""
        $ devpi upload --from-dir dist
        $ devpi list -v --all
        pkg==1.0rc1
        pkg==1.0.0
        pkg==1.0+local.1
        pkg==1!1.0
        Zope.Interface==1.0.0
        $ devpi list zope_interface==1
        SERVER/ME/dev/+f/…/zope_interface-1.0.0-py3-none-any.whl
        $ devpi push Zope-Interface==1.0 ME/prod
        200 register … 1.0.0 -> ME/prod
        200 store_releasefile ME/prod/+f/…/zope_interface-1.0.0-py3-none-any.whl
        $ devpi push pkg==1 ME/prod
        200 register pkg 1.0.0 -> ME/prod
        $ devpi push pkg==1.0RC1 ME/prod
        200 register pkg 1.0rc1 -> ME/prod
        $ devpi push pkg==1.0+local.1 ME/prod
        200 register pkg 1.0+local.1 -> ME/prod
        $ devpi push 'pkg==1!1.0' ME/prod
        200 register pkg 1!1.0 -> ME/prod
        $ devpi remove -y zope-interface==1.0
        deleting release 1.0.0 of zope-interface
        $ devpi remove -y pkg==1.0+local.1
        deleting release 1.0+local.1 of pkg
        $ devpi remove -y 'pkg==1!1.0'
        deleting release 1!1.0 of pkg
    """)

    me = devpi.me
    assert devpi.get(f"/{me}/prod")["projects"] == ["pkg", "zope-interface"]
    assert set(devpi.get(f"/{me}/prod/pkg")) == {"1!1.0", "1.0+local.1", "1.0.0", "1.0rc1"}
    assert devpi.get(f"/{me}/dev")["projects"] == ["pkg"]
    assert set(devpi.get(f"/{me}/dev/pkg")) == {"1.0.0", "1.0rc1"}


def test_a_push_replaces_no_file_of_a_non_volatile_index(devpi: Client) -> None:
    old = a_wheel()
    devpi.has(old)
    devpi.lines("devpi upload --index prod --from-dir dist")
    devpi.has(a_wheel(payload=b"changed"), an_sdist())
    devpi.lines("devpi upload --from-dir dist")

    devpi.follow("""
        $ devpi push pkg==1.0 ME/prod
        PUSH SERVER/ME/dev
        409 Conflict: pkg-1.0-py3-none-any.whl already exists in non-volatile index
        [1]
    """)

    assert devpi.lines("devpi list --index prod pkg") == [devpi.href(f"{devpi.me}/prod", old)]


def test_a_release_is_not_pushed_to_an_index_of_others(devpi: Client, yard: Yard, tmp_path: Path) -> None:
    devpi.has(a_wheel())
    devpi.lines("devpi upload --from-dir dist")
    other = yard.client(tmp_path / "other", devpi.tool).me

    devpi.follow(f"""
        $ devpi push pkg==1.0 {other}/dev
        401 Unauthorized: user 'ME' cannot upload to '{other}/dev'…
        [1]
    """)

    assert devpi.get(f"/{other}/dev")["projects"] == []


def test_a_release_is_pushed_to_another_server(devpi: Client, yard: Yard, tmp_path: Path) -> None:
    dists = (a_wheel(requires=("dep",)), an_sdist())
    devpi.has(*dists)
    a_doc_zip(devpi.folder / "dist", "pkg-1.0.doc.zip")
    devpi.lines("devpi upload --from-dir dist")
    make_serverdir(tmp_path / "far", yard.upstream.url)
    with a_server(tmp_path / "far") as far:
        far.send_json("PUT", "/team", {"password": PASSWORD})
        far.send_json("PUT", "/team/dev", {"volatile": False}, authorization=basic("team"))
        sections = {
            "far": (f"{far.url}/team/dev/", PASSWORD),
            "wrong": (f"{far.url}/team/dev/", "wrong"),
            "nowhere": (f"{far.url}/team/nowhere/", PASSWORD),
            "dead": (f"http://127.0.0.1:{free_port()}/team/dev/", PASSWORD),
        }
        (devpi.folder / "pypirc").write_text(
            "".join(
                f"[{name}]\nrepository = {url}\nusername = team\npassword = {password}\n"
                for name, (url, password) in sections.items()
            )
        )
        devpi.follow("""
            $ devpi push --pypirc pypirc pkg==1.0 pypi:far
            400 Bad Request: pushing to 127.0.0.1 is for those who run this server; see --internal-networks
            (theirs) Failure during upload
            [1]
        """)
        devpi.lines(f"devpi login root --password '{ROOT}'")
        before = far.get("/team/dev/pkg", accept="application/json")[0]
        devpi.follow("""
            $ devpi push --pypirc pypirc pkg==1.0 pypi:wrong
            (theirs) 502 Bad Gateway
            401 upload ME/dev/+f/…/pkg-1.0-py3-none-any.whl no permission to submit to team/dev…
            Failure during upload
            [1]
            $ devpi push --pypirc pypirc pkg==1.0 pypi:nowhere
            404 upload ME/dev/+f/…/pkg-1.0-py3-none-any.whl The stage team/nowhere could not be found.
            [1]
            $ devpi push --pypirc pypirc pkg==1.0 pypi:dead
            (theirs) 502 Bad Gateway
            -1 exception on release upload: …
            [1]
            $ devpi push --pypirc pypirc --register-project --no-docs pkg==1.0 pypi:far
            200 register pkg 1.0
            200 upload ME/dev/+f/…/pkg-1.0-py3-none-any.whl
            200 upload ME/dev/+f/…/pkg-1.0.tar.gz
            $ devpi push --pypirc pypirc pkg==1.0 pypi:far
            200 upload ME/dev/+f/…/pkg-1.0-py3-none-any.whl
            200 upload ME/dev/+f/…/pkg-1.0.tar.gz
            200 docfile pkg.zip
        """)
        release = json.loads(far.get("/team/dev/pkg", accept="application/json")[2])["result"]["1.0"]

    assert before == 404
    assert release["requires_dist"] == ["dep"]
    found = {link["href"].rsplit("/", 1)[1]: link["hashes"]["sha256"] for link in release["+links"]}
    assert found.pop("pkg-1.0.doc.zip")
    assert found == {dist.filename: dist.sha256 for dist in dists}


# -- removals -------------------------------------------------------------------------------------


def test_a_file_a_version_and_a_project_are_removed(devpi: Client) -> None:
    wheels = [a_wheel("pkg", version) for version in ("1.0", "2.0", "3.0")]
    sdist = an_sdist("pkg", "3.0")
    devpi.has(*wheels, sdist)
    devpi.lines("devpi upload --from-dir dist")
    index = f"{devpi.me}/dev"
    three = devpi.href(index, wheels[2])

    devpi.follow("$ devpi remove pkg\nAre you sure (yes/no)?…\n(ours) [1]", typed="no\n")
    kept = devpi.lines("devpi list pkg")
    devpi.follow(f"$ devpi remove {three}\nAbout to remove the following file:\n{three}", typed="yes\n")
    without_file = devpi.lines("devpi list pkg")
    devpi.follow(f"""
        $ devpi remove -y {three}
        410 Gone: file '{index}/{wheels[2].path}' existed, deleted in later serial
        [1]
        $ devpi remove -y pkg==9
        No releases or distributions found matching 'pkg==9'.
        [1]
        $ devpi remove -y dep
        404 Not Found: The project dep does not exist on ME/dev.
        [1]
        $ devpi remove -y pkg==2.0
        version: 2.0
        - {devpi.href(index, wheels[1])}
        deleting release 2.0 of pkg
    """)
    without_version = devpi.lines("devpi list pkg")
    devpi.lines("devpi remove -y pkg")

    assert kept == [three, devpi.href(index, sdist), *(devpi.href(index, wheel) for wheel in wheels[1::-1])]
    assert without_file == kept[1:]
    assert without_version == [kept[1], kept[3]]
    assert devpi.lines("devpi list") == []


def test_only_force_removes_from_a_non_volatile_index(devpi: Client) -> None:
    wheels = [a_wheel("pkg", version) for version in ("1.0", "2.0", "3.0")]
    devpi.has(*wheels)
    devpi.lines("devpi upload --index prod --from-dir dist")
    devpi.lines("devpi use prod")
    one, two, three = (devpi.href(f"{devpi.me}/prod", wheel) for wheel in wheels)

    devpi.follow(f"""
        $ devpi remove -y {one}
        403 Forbidden: cannot delete version on non-volatile index
        [1]
        $ devpi remove -y pkg==1.0
        403 Forbidden: cannot delete version on non-volatile index
        [1]
        $ devpi remove -y pkg
        403 Forbidden: project 'pkg' is on non-volatile index ME/prod
        [1]
    """)
    kept = devpi.lines("devpi list pkg")
    devpi.lines(f"devpi remove -y -f {one}")
    without_file = devpi.lines("devpi list pkg")
    devpi.lines("devpi remove -y -f pkg==2.0")
    without_version = devpi.lines("devpi list pkg")
    devpi.lines("devpi remove -y -f pkg")

    assert (kept, without_file, without_version) == ([three, two, one], [three, two], [three])
    assert devpi.lines("devpi list") == []


# -- the rest -------------------------------------------------------------------------------------


def test_json_is_got_and_patched(devpi: Client) -> None:
    devpi.has(a_wheel())
    devpi.lines("devpi upload --from-dir dist")
    (devpi.folder / "title.json").write_text('["title=By hand"]')
    (devpi.folder / "yank.json").write_text('{"yanked": "it is broken"}')

    devpi.follow("""
        $ devpi getjson -v /ME/dev?no_projects=
        GET REQUEST sent to SERVER/ME/dev?no_projects=
        CONTENT-TYPE: application/json
        X-DEVPI-API-VERSION: 2
        X-DEVPI-SERIAL: …
        "type": "indexconfig"
        $ devpi getjson /ME/nowhere
        404 Not Found: The stage ME/nowhere could not be found.
        [1]
        $ devpi patchjson /ME/dev title.json
        PATCH REQUEST sent to SERVER/ME/dev
        "title": "By hand",
        $ devpi patchjson pkg/1.0 yank.json
        PATCH REQUEST sent to SERVER/ME/dev/pkg/1.0
        "message": "version '1.0' of 'pkg' is yanked"
    """)

    simple = json.loads(
        devpi.server.get(f"/{devpi.me}/dev/+simple/pkg/?format=application/vnd.pypi.simple.v1%2Bjson")[2]
    )
    assert [file["yanked"] for file in simple["files"]] == ["it is broken"]
    assert json.loads("\n".join(devpi.lines("devpi getjson /ME/dev")))["result"]["projects"] == ["pkg"]


def test_a_mirrored_project_is_refreshed(devpi: Client, yard: Yard) -> None:
    name = f"fresh-{devpi.me}"
    yard.upstream.add(name, a_wheel(name, "1.0"))
    before = devpi.lines(f"devpi list {name}")
    yard.upstream.add(name, a_wheel(name, "2.0"))
    unseen = devpi.lines(f"devpi list {name}")

    devpi.follow(f"$ devpi refresh {name}\nRefreshed {name}")

    assert before == unseen == [devpi.href("root/pypi", a_wheel(name, "1.0"))]
    assert devpi.lines(f"devpi list {name}") == [devpi.href("root/pypi", a_wheel(name, "2.0")), *before]


def test_pip_installs_from_a_private_index_for_the_client(devpi: Client) -> None:
    devpi.has(a_wheel("secret", "1.0", requires=("dep",)))
    devpi.lines("devpi upload --from-dir dist")
    devpi.lines("devpi index dev acl_pkg_read=ME")
    venv = devpi.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    # A pip of its own would take seconds to make.
    (venv / "bin" / "pip").write_text(
        f'#!/bin/sh\nexec {sys.executable} -m pip --disable-pip-version-check --python {venv}/bin/python "$@"\n'
    )
    (venv / "bin" / "pip").chmod(0o755)

    devpi.follow(f"""
        $ devpi install --venv {venv} secret
        (theirs) Looking in indexes: http://ME:****@…/ME/dev/+simple/
        (ours) Looking in indexes: SERVER/ME/dev/+simple/
        Successfully installed dep-1.5 secret-1.0
    """)

    assert installed(next(venv.glob("lib/*/site-packages"))) == {"secret": "1.0", "dep": "1.5"}


def test_pip_and_uv_use_the_index_that_was_set(devpi: Client) -> None:
    devpi.has(a_wheel("pkg", "1.0", requires=("dep",)))
    devpi.lines("devpi upload --from-dir dist")
    pip_conf, uv_toml = devpi.folder / "pip.conf", devpi.folder / ".config" / "uv" / "uv.toml"

    devpi.follow(
        f"""
        $ devpi use --set-cfg ME/dev
        current devpi index: SERVER/ME/dev (logged in as ME)
        {pip_conf}: SERVER/ME/dev/+simple/
        {uv_toml}: SERVER/ME/dev/+simple/
        $ {sys.executable} -m pip install --target with-pip pkg
        Looking in indexes: SERVER/ME/dev/+simple/
        $ {BIN / "uv"} pip install --config-file {uv_toml} --python {sys.executable} --target with-uv pkg
        + pkg==1.0
        """,
        PIP_CONFIG_FILE=str(pip_conf),
        UV_NO_CONFIG="0",
    )

    for target in ("with-pip", "with-uv"):
        assert installed(devpi.folder / target) == {"pkg": "1.0", "dep": "1.5"}


# -- a server for those who log in ----------------------------------------------------------------


def test_a_server_that_answers_only_who_logs_in_is_used_like_any_other(yard: Yard, tmp_path: Path, tool: Path) -> None:
    made = run(
        "devpi-init", "--serverdir", str(tmp_path / "server"), "--mirror-url", yard.upstream.url, "--root-passwd", ROOT
    )
    assert made.returncode == 0, made.stderr
    (tmp_path / "home").mkdir()
    with a_server(tmp_path / "server", "--require-login") as server:
        devpi = Client(server, yard.upstream, tmp_path / "home", tool=tool)
        devpi.follow(f"""
            $ devpi use SERVER/root/pypi
            current devpi index: SERVER/root/pypi (not logged in)
            $ devpi user -c ann password=hidden email=a@b.example
            …answers only those who log in…
            [1]
            $ devpi list dep
            …answers only those who log in…
            [1]
            $ {OURS} status
            SERVER/ is healthy
            It tells you nothing more; whoever is logged in may learn more: devpi login USER
            you are not logged in
            $ devpi login root --password '{ROOT}'
            logged in 'root'…
            $ devpi user -c ann password=hidden email=a@b.example
            user created: ann
            $ devpi login ann --password hidden
            logged in 'ann'…
            $ devpi index -c dev bases=root/pypi
            type=stage
            $ devpi use dev
            current devpi index: SERVER/ann/dev (logged in as ann)
        """)
        devpi.has(a_wheel())
        devpi.follow("""
            $ devpi upload --from-dir dist
            file_upload of pkg-1.0-py3-none-any.whl to SERVER/ann/dev/
            $ devpi list
            pkg
        """)

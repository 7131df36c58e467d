"""Commands in the cases that the walk-throughs do not reach: keyrings, refusals, odd arguments."""

import json

import pytest

from tests.support.builders import a_wheel
from tests.support.devpi import Client, Yard
from tests.support.publish import PASSWORD

BACKEND = """
import json, pathlib
from keyring.backend import KeyringBackend

class Ring(KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        return json.loads(pathlib.Path(__file__).with_name("ring.json").read_text()).get(f"{service} {username}")
    def set_password(self, service, username, password):
        raise NotImplementedError

class Broken(Ring):
    def get_password(self, service, username):
        from keyring.errors import KeyringLocked
        raise KeyringLocked("locked")
"""


def a_keyring(devpi: Client, **passwords: str) -> dict[str, str]:
    """Variables that make it the keyring: `NAME=password` for the server's URL and that user."""
    entries = {f"{devpi.server.url}/ {user}": password for user, password in passwords.items()}
    (devpi.folder / "ringbackend.py").write_text(BACKEND)
    (devpi.folder / "ring.json").write_text(json.dumps(entries))
    return {"PYTHONPATH": str(devpi.folder), "PYTHON_KEYRING_BACKEND": "ringbackend.Ring"}


def test_a_password_comes_from_the_keyring(devpi: Client) -> None:
    ring = a_keyring(devpi, **{devpi.me: PASSWORD})

    devpi.follow("$ devpi login ME\nlogged in 'ME' at 'SERVER/ME/dev', credentials valid for 10.00 hours", **ring)


@pytest.mark.parametrize("backend", ["Ring", "Broken"])
def test_a_keyring_that_knows_nothing_or_is_locked_is_as_good_as_none(devpi: Client, backend: str) -> None:
    ring = a_keyring(devpi) | {"PYTHON_KEYRING_BACKEND": f"ringbackend.{backend}"}

    status, lines = devpi.run("devpi login ME", typed=f"{PASSWORD}\n", **ring)

    assert status == 0
    assert f"password for user {devpi.me} at {devpi.server.url}/:" in lines
    assert ("warning: the keyring cannot be asked (KeyringLocked: locked)" in lines) == (backend == "Broken")


def test_a_wrong_password_in_the_keyring_is_refused_and_the_old_login_stays(devpi: Client) -> None:
    ring = a_keyring(devpi, **{devpi.me: "wrong"})

    assert devpi.run("devpi login ME", **ring)[0] == 1
    assert devpi.lines("devpi use")[0].endswith(f"(logged in as {devpi.me})")


def test_the_name_is_asked_for_if_it_is_not_given(devpi: Client) -> None:
    devpi.follow("$ devpi login\nlogged in 'ME' at…", typed=f"{devpi.me}\n{PASSWORD}\n")
    devpi.follow("$ devpi login ME --password-stdin\nlogged in 'ME' at…", typed=f"{PASSWORD}\nnot read\n")


def test_logging_off_twice_is_no_error(devpi: Client) -> None:
    devpi.follow("""
        $ devpi logout
        login information deleted
        $ devpi logoff
        not logged in
    """)


def test_a_user_is_shown_made_and_removed(devpi: Client) -> None:
    devpi.follow("$ devpi user -c other-ME title='Some One'\nuser created: other-ME", typed="long enough\n" * 2)
    devpi.follow("""
        $ devpi user other-ME
        SERVER/other-ME:
          title=Some One
        $ devpi user title=Mine
        /ME changing title: Mine
        user modified: ME
        $ devpi user a/b
        user name 'a/b' contains a slash
        [1]
        $ devpi user --delete -y other-ME
        403 Forbidden: …
        [1]
        $ devpi login other-ME --password 'long enough'
        logged in 'other-ME' at…
        $ devpi index -c inside
        volatile=True
        $ devpi user --delete -y other-ME
        About to remove: SERVER/other-ME
        with the index other-ME/inside
        user deleted: other-ME
        $ devpi user
        no user specified and no user currently active
        [1]
    """)


def test_a_password_that_is_short_or_mistyped_is_asked_again(devpi: Client) -> None:
    devpi.follow(
        "$ devpi passwd\npasswords did not match\n"
        "password with less than 8 characters, are you sure to use it? (yes/no)?\nuser modified: ME",
        typed="one\ntwo\nshort\nshort\nyes\n",
    )
    devpi.follow("$ devpi passwd\nno password was set\n[1]", typed="a\nb\n" * 3)
    devpi.follow("$ devpi passwd\nempty password, are you sure to use it? (yes/no)?\n[1]", typed="\n\nno\n")
    devpi.follow("$ devpi login ME --password short\nlogged in 'ME' at…")


def test_an_index_goes_with_what_it_holds_and_says_so(devpi: Client) -> None:
    devpi.has(a_wheel("one", "1.0"), a_wheel("two", "1.0"))
    devpi.follow("""
        $ devpi index -c gone
        type=stage
        $ devpi upload --index gone --from-dir dist
        file_upload of one-1.0-py3-none-any.whl to SERVER/ME/gone/
        $ devpi index --delete -y ME/gone
        About to remove: SERVER/ME/gone
        with 2 projects: one, two
        index deleted: SERVER/ME/gone
        $ devpi index gone
        404 Not Found: The stage ME/gone could not be found.
        [1]
    """)


def test_a_refresh_that_is_refused_is_told_for_each_project(devpi: Client) -> None:
    devpi.follow("""
        $ devpi refresh dep bad..name*
        Refreshed dep
        Couldn't refresh bad..name* via SERVER/ME/dev/+simple/bad..name*/refresh: 404 Not Found…
        [1]
    """)


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not JSON"), ('["no such key"]', "400 Bad Request"), ('["volatile=perhaps"]', "400 Bad Request")],
)
def test_a_patch_that_cannot_be_changes_nothing(devpi: Client, content: str, said: str) -> None:
    (devpi.folder / "patch.json").write_text(content)
    before = devpi.lines("devpi index --no-projects dev")

    for command in ("devpi patchjson /ME/dev patch.json", "devpi patchjson /ME/dev -"):
        status, lines = devpi.run(command, typed=content)

        assert status == 1
        assert any(said in line for line in lines)
    assert devpi.run("devpi patchjson /ME/dev nowhere.json")[0] == 1
    assert devpi.lines("devpi index --no-projects dev") == before


def test_json_of_a_url_comes_with_its_headers_when_it_is_asked_for(devpi: Client) -> None:
    lines = devpi.lines("devpi getjson -v '/ME/dev?no_projects='")

    assert lines[0] == f"GET REQUEST sent to {devpi.server.url}/{devpi.me}/dev?no_projects="
    assert any(line.startswith("CONTENT-TYPE: application/json") for line in lines)
    assert "projects" not in json.loads("\n".join(lines[lines.index("{") :]))["result"]


def test_old_and_wrong_ways_to_name_what_is_pushed(devpi: Client) -> None:
    devpi.has(a_wheel("pkg", "1.0"))
    devpi.lines("devpi upload --from-dir dist")

    devpi.follow("""
        $ devpi push pkg-1.0 ME/prod
        …Old style package specification is deprecated, use this form: your-pkg-name==your.version.specifier
        200 register pkg 1.0 -> ME/prod
        $ devpi push pkg==1.0 pypi:mine
        no pypirc file found at: …/.pypirc
        [1]
        $ devpi push pkg==1.0 ME/nowhere
        404 Not Found: …
        [1]
    """)
    for wrong in ("pkg", "pkg==1.0 --no-docs --only-docs"):
        assert devpi.run(f"devpi push {wrong} {devpi.me}/prod")[0] == 2
    assert devpi.run("devpi push pkg==1.0 prod")[0] == 2


def test_a_password_for_a_push_outside_comes_from_the_keyring_and_is_not_shown(devpi: Client, yard: Yard) -> None:
    devpi.has(a_wheel("pkg", "1.0"))
    devpi.lines("devpi upload --from-dir dist")
    url = f"{yard.server.url}/{devpi.me}/prod/"
    ring = a_keyring(devpi)
    (devpi.folder / "ring.json").write_text(json.dumps({f"{url} bob": "ring-secret"}))
    (devpi.folder / ".pypirc").write_text(f"[mine]\nrepository = {url}\nusername = bob\n")

    status, lines = devpi.run("devpi --debug push pkg==1.0 pypi:mine", **ring)

    # The server itself does not push to its own network for everybody; that it was asked is what counts.
    assert status == 1
    assert "is for those who run this server" in "\n".join(lines)
    assert "ring-secret" not in "\n".join(lines)


def test_tests_and_files_of_a_project_are_there_as_json(devpi: Client) -> None:
    devpi.has(a_wheel("pkg", "1.0"))
    devpi.lines("devpi upload --from-dir dist")

    found = json.loads("\n".join(devpi.lines("devpi list -t --json pkg")))
    names = json.loads("\n".join(devpi.lines("devpi list -v --json")))
    removed = json.loads("\n".join(devpi.lines("devpi remove -y --json pkg==1.0")[0:]))

    (file,) = found["versions"]["1.0"]
    assert file["url"] == devpi.href(f"{devpi.me}/dev", a_wheel("pkg", "1.0"))
    assert (file["shadowed"], file["tests"]) == (False, [])
    assert names["projects"] == {"pkg": ["1.0"]}
    assert removed["deleted"] == ["1.0"]


def test_a_refusal_of_json_is_told_with_what_to_do(devpi: Client) -> None:
    (devpi.folder / "changes.json").write_text('["shoes=44"]')

    devpi.follow("""
        $ devpi getjson /nobody/nothing
        404 Not Found…
        See what there is: devpi getjson /
        [1]
        $ devpi patchjson /ME/dev gone.json
        gone.json cannot be read (No such file or directory)
        Name a file, or - for standard input.
        [1]
        $ devpi patchjson /nobody/nothing changes.json
        404 Not Found…
        Nothing was changed. The reference of URLs says what each takes.
        [1]
    """)


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("mirror_url=http://me:hidden-word@upstream.example/simple/", "mirror_url=http://me:****@upstream.example/simple/"),
        ("mirror_proxy=me:hidden-word@proxy.example:3128", "mirror_proxy=****@proxy.example:3128"),
        ("title=me@upstream.example", "title=me@upstream.example"),
    ],
)  # fmt: skip
def test_a_login_in_a_value_is_not_shown_when_it_is_set(devpi: Client, word: str, shown: str) -> None:
    devpi.lines("devpi index -c far type=mirror mirror_url=http://upstream.example/simple/")

    lines = devpi.lines(f"devpi index far '{word}'")

    assert lines[0] == f"/{devpi.me}/far {shown}"
    assert "hidden-word" not in "\n".join(lines)

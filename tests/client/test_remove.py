"""`devpi remove --forget`: a private name is opened to mirrors again, and only that one."""

import json

from tests.support.builders import a_wheel
from tests.support.devpi import Client

OURS = a_wheel("dep", "2.0")


def upload(devpi: Client, index: str = "dev") -> None:
    devpi.has(OURS)
    devpi.lines(f"devpi upload --index {index} --from-dir dist")


def test_a_project_goes_with_its_name_after_a_question(devpi: Client) -> None:
    upload(devpi)

    devpi.follow(
        f"""
        $ devpi remove --forget dep
        About to remove the following releases and distributions
        version: 2.0
        - {devpi.href(f"{devpi.me}/dev", OURS)}
        About to open the name dep: whoever asks ME/dev for it may get what mirrors have
        Are you sure (yes/no)?
        not deleting anything
        [1]
        """,
        typed="no\n",
    )
    assert devpi.get(f"/{devpi.me}/dev")["projects"] == ["dep"]
    devpi.follow("$ devpi remove --forget dep\ndep is open to mirrors again", typed="yes\n")

    assert devpi.get(f"/{devpi.me}/dev")["projects"] == []
    assert set(devpi.get(f"/{devpi.me}/dev/dep")) == {"1.0", "1.5"}


def test_a_name_of_which_nothing_is_left_is_opened_as_explain_says(devpi: Client) -> None:
    upload(devpi)
    devpi.lines("devpi remove -y dep")
    (own, _) = json.loads("\n".join(devpi.run("devpi explain dep --json")[1]))["sources"]
    command = own["change"].partition(": ")[2]

    told = json.loads("\n".join(devpi.lines(f"{command} -y --json")))

    index = f"{devpi.server.url}/{devpi.me}/dev"
    assert told == {"index": index, "project": "dep", "deleted": [], "forgotten": True}
    devpi.follow("$ devpi explain dep\ndep comes through ME/dev from root/pypi")


def test_a_name_on_a_firm_index_goes_by_force_only(devpi: Client) -> None:
    upload(devpi, "prod")

    devpi.follow("""
        $ devpi remove -y --forget --index prod dep
        403 Forbidden: project 'dep' is on non-volatile index ME/prod
        [1]
    """)
    assert devpi.get(f"/{devpi.me}/prod")["projects"] == ["dep"]
    devpi.lines("devpi remove -y -f --forget --index prod dep")

    assert devpi.get(f"/{devpi.me}/prod")["projects"] == []


def test_what_keeps_no_name_is_said(devpi: Client) -> None:
    devpi.follow("""
        $ devpi remove -y --forget dep
        dep is not private on ME/dev: there is no name to forget
        See who has it: devpi explain dep
        [1]
        $ devpi remove -y --forget --index root/pypi dep
        root/pypi is a mirror: there is no name to forget
        [1]
        $ devpi remove -y --forget --index ME/none dep
        404 Not Found: …
        [1]
    """)


def test_a_version_and_a_file_have_no_name_of_their_own(devpi: Client) -> None:
    upload(devpi)

    for what in ("dep==2.0", devpi.href(f"{devpi.me}/dev", OURS)):
        status, lines = devpi.run(f"devpi remove -y --forget {what}")
        assert (status, lines[0]) == (2, f"--forget opens the whole name of a project, and {what} is not one")

    assert devpi.get(f"/{devpi.me}/dev")["projects"] == ["dep"]

"""The documentation of the commands is what they are."""

import re
from pathlib import Path

import pytest

from stilton_client.main import COMMANDS
from tests.client.reference import PAGE, page

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "client.md").read_text(encoding="utf-8")


def test_the_reference_is_what_the_commands_say_of_themselves() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.client.reference writes it anew"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_guide_shows_every_command(command: str) -> None:
    assert re.search(rf"\bdevpi {command}\b", GUIDE)

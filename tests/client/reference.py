"""The page docs/reference/commands.md, made from the commands' own help: `python -m tests.client.reference`."""

from pathlib import Path

import click

from stilton_client.main import COMMANDS, devpi

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
WIDTH = 100
HEAD = """# The `devpi` command

Made from the commands' help by `python -m tests.client.reference`; a test compares. How they are used together:
[the guide](../guide/client.md).

Options before the command's name and behind it: `--clientdir DIR`, `-v`, `-y` (yes to every question), `--debug`.

Exit codes: 0 it is done, 1 it did not work, 2 wrong usage, 130 interrupted, 143 terminated.

| variable | meaning |
|---|---|
| `DEVPI_INDEX` | the index for as long as it is set: URL, `USER/NAME`, or the `NAME` of an own index |
| `DEVPI_USER` | which of the stored logins to use |
| `DEVPI_CLIENTDIR` | folder of logins and other state, `~/.devpi/client` |
| `VIRTUAL_ENV`, `WORKON_HOME` | the environment that `use --set-cfg`, `install` and `test` are about |
| `PIP_CONFIG_FILE`, `UV_CONFIG_FILE`, `XDG_CONFIG_HOME` | which files `use --set-cfg` edits |
| `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` | proxies |
| `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `PIP_CERT`, `SSL_CERT_FILE` | PEM file of the authorities to trust |
| `NO_COLOR`, `TERM=dumb`, `PY_COLORS=0` or `1` | without or with colours |
"""


def page() -> str:
    """What has to stand in the page."""
    parts = [HEAD]
    group = click.Context(devpi, info_name="devpi", max_content_width=WIDTH, terminal_width=WIDTH)
    for name in COMMANDS:
        command = devpi.get_command(group, name)
        assert command is not None
        settings = {**command.context_settings, "max_content_width": WIDTH}
        context = click.Context(command, group, info_name=name, terminal_width=WIDTH, **settings)
        parts.append(f"## {name}\n\n```\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

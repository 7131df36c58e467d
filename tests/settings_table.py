"""The table of settings in docs/reference/configuration.md: `python -m tests.settings_table` writes it anew."""

from pathlib import Path

from stilton.config import DEFAULT, Origin
from stilton.settings import IGNORED, REFUSED, SERVERDIR, SETTINGS, Setting

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "configuration.md"
BEGIN, END = "<!-- settings:begin -->\n", "<!-- settings:end -->\n"


def table() -> str:
    """What has to stand between the marks."""
    rows = ["| option | variable | default | what |", "|---|---|---|---|", *(_row(setting) for setting in SETTINGS)]
    without = [f"| `--{name}` | {why} |" for name, why in sorted({**IGNORED, **REFUSED}.items())]
    return "\n".join([
        *rows, "", "Options of devpi-server that mean nothing here. Those that only tune something are ignored with a notice,",
        f"{', '.join(f'`--{name}`' for name in REFUSED)} stop the start:", "", "| option | why, or what to do |", "|---|---|", *without, "",
    ])  # fmt: skip


def _row(setting: Setting) -> str:
    variable = f"`{setting.variable}`" + (", else `DEVPI_SERVERDIR`" if setting is SERVERDIR else "")
    default = Origin(setting, setting.default, DEFAULT).shown
    shown = default if default in ("none", "yes", "no") else f"`{default}`"
    return f"| `--{setting.name}` | {variable} | {shown} | {setting.help} |"


def page() -> str:
    """The whole page with the table as it has to be."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""What is documented is there, and what is there is documented."""

import ast
import inspect
import re
import subprocess
from pathlib import Path

import pytest

from stilton.domain import errors
from stilton.domain.audit import ACTIONS
from stilton.web import asgi, routes
from tests import settings_table

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
URLS = (REFERENCE / "urls.md").read_text(encoding="utf-8")
LOGS = (ROOT / "docs" / "guide" / "logs.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

LINK = re.compile(r"\]\(([^()\s]+)\)")
PATH = re.compile(r"(?<!\S)/\S*")
SHORT = {"{u}": "{user}", "{i}": "{index}", "{p}": "{project}", "{v}": "{version}"}

# Put together here, so that this file does not contain what it looks for.
REGISTRIES = tuple(
    name + "." + domain
    for name, domain in (("pypi", "org"), ("python" + "hosted", "org"), ("npm" + "js", "org"), ("crates", "io"), ("ruby" + "gems", "org"))
)  # fmt: skip
# The machine of one author. `/root/…` is also an index of this server's first user.
ABSOLUTE = re.compile(
    "(?<![\\w.})-])/" + "(?:work|home|Users)/" + r"[\w.]|(?<![\w.})-])/root/(?:\.\w|[a-z]+/(?:src|tests|\.venv)\b)"
)


def tracked() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    paths = (ROOT / name.decode() for name in listed.stdout.split(b"\0") if name)
    return [path for path in paths if path.is_file()]


def test_every_action_of_the_audit_log_is_documented() -> None:
    documented = re.findall(r"`(\w+\.[\w-]+|login|import)`", "".join(re.findall(r"(?m)^\| (`[^|]+) \|", LOGS)))

    assert sorted(documented) == sorted(ACTIONS)


def test_every_action_that_is_noted_is_known() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "stilton").rglob("*.py"))
    noted = re.findall(r'Event\(\s*"([^"]+)"', sources)

    assert {*noted, "file.upload", "file.overwrite"} == {*ACTIONS}


def spelled_out(docstring: str) -> list[str]:
    """The paths in a table of URLs: `/{u}[/]` is `/{user}` and `/{user}/`."""
    found: list[str] = []
    for path in PATH.findall(docstring):
        for short, long in SHORT.items():
            path = path.replace(short, long)  # noqa: PLW2901 - the same path, spelled out
        found += variants(path.rstrip(",:"))
    return found


def variants(path: str) -> list[str]:
    """`a[b]` is `a` and `ab`; brackets may hold brackets."""
    start = path.find("[")
    if start < 0:
        return [path]
    end = path.rindex("]")
    return [path[:start] + path[end + 1 :], *variants(path[:start] + path[start + 1 : end] + path[end + 1 :])]


def routes_in_code() -> list[str]:
    """The paths in `routes.table`, as Python reads them."""
    tree = ast.parse(inspect.getsource(routes.table))
    rows = [node for node in ast.walk(tree) if isinstance(node, ast.Tuple) and len(node.elts) == 2]
    first = [row.elts[0] for row in rows]
    found = [node.value for node in first if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [path.replace(":path}", "}") for path in found]


def wrong_places() -> set[str]:
    """Those that only say where uploads go."""
    return {path for path in routes_in_code() if "+simple" in path and not path.endswith("refresh")}


def test_the_table_of_settings_is_made_from_them() -> None:
    assert settings_table.PAGE.read_text(encoding="utf-8") == settings_table.page(), "python -m tests.settings_table"


def test_the_table_of_routes_is_what_its_docstring_says() -> None:
    assert routes.__doc__ is not None

    assert set(spelled_out(routes.__doc__)) == set(routes_in_code()) - wrong_places()
    assert len(set(routes_in_code())) == len(routes_in_code())


@pytest.mark.parametrize("path", sorted({*spelled_out(f"{routes.__doc__}\n{asgi.__doc__}"), *routes_in_code()}))
def test_a_url_is_documented(path: str) -> None:
    assert f"`{path}`" in URLS


def test_an_error_is_drawn_in_the_tree_below_its_parent() -> None:
    assert errors.__doc__ is not None
    drawn = [(len(match[1]) // 4, match[2]) for match in re.finditer(r"^([│├└─ ]*)(\w+)", errors.__doc__, re.MULTILINE)]
    start = next(place for place, (_, name) in enumerate(drawn) if name == "StiltonError")

    parents: dict[str, str] = {}
    above: dict[int, str] = {}
    for depth, name in drawn[start:]:
        above[depth] = name
        if depth:
            parents[name] = above[depth - 1]

    real = {
        name: kind.__base__.__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind.__base__ is not None and kind is not errors.StiltonError
    }
    assert parents == real


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_relative_link_leads_to_a_file(page: Path) -> None:
    links = [link.partition("#")[0] for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]

    broken = [link for link in links if link and not (page.parent / link).exists()]

    assert broken == []


def test_the_readme_leads_to_every_page_of_reference_and_guide() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    pages = [page for page in PAGES if page.parent.name in ("reference", "guide")]

    assert [page.name for page in pages if f"({page.relative_to(ROOT)})" not in readme] == []


def test_no_package_registrys_host_is_named_anywhere() -> None:
    needles = [name.encode() for name in REGISTRIES]

    named = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if any(needle in path.read_bytes().lower() for needle in needles)
    ]

    assert named == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = {
        str(path.relative_to(ROOT)): ABSOLUTE.findall(text)
        for path in tracked()
        if ABSOLUTE.search(text := path.read_text(encoding="utf-8", errors="replace"))
    }

    assert found == {}


@pytest.mark.parametrize("place", ["{}/main/x", " {}/a", '"{}/a"', "({}/a)"])
def test_a_folder_of_one_machine_would_be_found(place: str) -> None:
    for folder in ("work", "home", "Users"):
        assert ABSOLUTE.search(place.format("/" + folder))
    assert ABSOLUTE.search(place.format("/root/" + ".cache"))
    assert not ABSOLUTE.search(place.format("tests" + "/work"))
    assert not ABSOLUTE.search("/root/" + "pypi/+simple/")

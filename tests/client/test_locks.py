"""Lock files, requirement files, and which files of a page are meant."""

import json
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from stilton_client import locks, pins, requirements, sources
from stilton_client.errors import Failure
from stilton_client.locks import Lock
from stilton_client.pins import Missing, Pin
from stilton_client.requirements import Asked
from stilton_client.simple import File
from stilton_client.targets import Target, targets

LINUX, WINDOWS = targets(["3.12"], ["linux", "windows"])
(OLD,) = targets(["3.8"], ["linux"])


def pinned(lock: Lock, target: Target = LINUX) -> dict[str, str]:
    return {pin.project: pin.version for pin in lock.pins(target)}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("uv.lock", True),
        ("tool.py.lock", True),
        ("pylock.toml", True),
        ("pylock.dev.toml", True),
        ("poetry.lock", True),
        ("pdm.lock", True),
        ("Pipfile.lock", True),
        ("pylock.a.b.toml", False),
        ("my-uv.lock", False),
        ("pyproject.toml", False),
        ("Cargo.lock", False),
    ],
)
def test_a_lock_file_is_known_by_its_name(name: str, known: bool) -> None:
    assert locks.is_lock(name) is known


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.lock", "not toml ["),
        ("uv.lock", "[[package]]\nname = 'a'"),
        ("poetry.lock", "x = 1"),
        ("poetry.lock", "[[package]]\nname = 'a'\nversion = '1'\nmarkers = 'bad marker'"),
        ("pylock.toml", "lock-version = '9.0'\ncreated-by = 'x'\npackages = []"),
        ("pylock.toml", "packages = 1"),
        ("Pipfile.lock", "{"),
        ("Pipfile.lock", '{"default": 1}'),
        ("pdm.lock", "package = 1"),
    ],
)
def test_a_damaged_lock_file_is_named_in_one_sentence(name: str, text: str) -> None:
    with pytest.raises(Failure, match=f"^{name} is not understood: "):
        locks.read(name, text)


# -- pylock.toml ----------------------------------------------------------------------------------

PYLOCK = """
lock-version = "1.0"
created-by = "us"
requires-python = ">=3.9"
environments = ["sys_platform == 'linux'"]
extras = ["fast"]
dependency-groups = ["dev"]
default-groups = []
[[packages]]
name = "always"
version = "1.0"
wheels = [{name = "always-1.0-py3-none-any.whl", url = "http://x/always-1.0-py3-none-any.whl", hashes = {sha256 = "AA"}}]
sdist = {name = "always-1.0.tar.gz", url = "http://x/always-1.0.tar.gz", hashes = {sha256 = "bb"}}
[[packages]]
name = "extra"
marker = "'fast' in extras"
sdist = {name = "extra-2.0.tar.gz", url = "http://x/extra-2.0.tar.gz", hashes = {sha512 = "cc"}}
[[packages]]
name = "plain"
version = "1.0"
marker = "'fast' not in extras"
sdist = {name = "plain-1.0.tar.gz", url = "http://x/plain-1.0.tar.gz", hashes = {sha256 = "dd"}}
[[packages]]
name = "tests"
version = "3.0"
marker = "'dev' in dependency_groups and sys_platform == 'linux'"
wheels = [{name = "tests-3.0-py3-none-any.whl", url = "http://x/tests-3.0-py3-none-any.whl", hashes = {sha256 = "ee"}}]
[[packages]]
name = "other"
version = "1.0"
marker = "sys_platform == 'win32'"
sdist = {name = "other-1.0.tar.gz", url = "http://x/other-1.0.tar.gz", hashes = {sha256 = "ff"}}
[[packages]]
name = "source"
vcs = {type = "git", url = "http://x/repo", commit-id = "abc"}
"""


def test_a_standard_lock_wants_all_extras_and_groups_of_a_target() -> None:
    lock = locks.read("pylock.toml", PYLOCK)

    assert pinned(lock) == {"always": "1.0", "extra": "2.0", "plain": "1.0", "tests": "3.0"}
    assert lock.pins(LINUX)[0].hashes == {"sha256:aa", "sha256:bb"}
    assert lock.elsewhere == ("source (vcs)",)


@pytest.mark.parametrize(
    ("target", "why"), [(OLD, "it is for Python >=3.9"), (WINDOWS, "it is not for this platform")], ids=str
)
def test_a_standard_lock_says_for_what_it_is_not(target: Target, why: str) -> None:
    with pytest.raises(Failure, match=why):
        locks.read("pylock.toml", PYLOCK).pins(target)


# -- uv.lock --------------------------------------------------------------------------------------

UV = """
version = 1
requires-python = ">=3.9"
[[package]]
name = "mine"
version = "0.1"
source = { editable = "." }
dependencies = [
    { name = "direct", extra = ["fast"] },
    { name = "forked", version = "1.0", source = { registry = "https://x/simple" }, marker = "python_full_version < '3.10'" },
    { name = "forked", version = "2.0", source = { registry = "https://x/simple" }, marker = "python_full_version >= '3.10'" },
    { name = "folded", marker = "extra == 'extra-4-mine-cpu'" },
    { name = "repo" },
]
[package.optional-dependencies]
cli = [{ name = "from-extra" }]
[package.dev-dependencies]
dev = [{ name = "from-group" }]
[[package]]
name = "direct"
version = "1.0"
source = { registry = "https://x/simple" }
dependencies = [{ name = "deep" }, { name = "wincolor", marker = "sys_platform == 'win32'" }]
sdist = { url = "https://x/direct-1.0.tar.gz", hash = "sha256:AA" }
wheels = [{ url = "https://x/direct-1.0-py3-none-any.whl", hash = "sha256:bb" }, { url = "https://x/nohash.whl" }]
[package.optional-dependencies]
fast = [{ name = "speed" }]
slow = [{ name = "never" }]
[[package]]
name = "deep"
version = "1.0"
source = { registry = "https://x/simple" }
dependencies = [{ name = "direct" }]
[[package]]
name = "split"
version = "1.0"
source = { registry = "https://x/simple" }
resolution-markers = ["sys_platform == 'win32'"]
[[package]]
name = "split"
version = "2.0"
source = { registry = "https://x/simple" }
resolution-markers = ["sys_platform != 'win32'"]
[[package]]
name = "local"
version = "1.0"
source = { registry = "../wheels" }
[[package]]
name = "repo"
version = "1.0"
source = { git = "https://x/repo" }
dependencies = [{ name = "split" }, { name = "local" }]
""" + "".join(
    f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://x/simple" }}\n'
    for name, version in [
        ("forked", "1.0"), ("forked", "2.0"), ("folded", "1.0"), ("from-extra", "1.0"), ("from-group", "1.0"),
        ("wincolor", "1.0"), ("speed", "1.0"), ("never", "1.0"), ("left-over", "1.0"),
    ]
)  # fmt: skip


def test_a_lock_of_uv_is_walked_from_the_project_along_what_holds() -> None:
    lock = locks.read("uv.lock", UV)

    assert pinned(lock) == {
        "direct": "1.0", "deep": "1.0", "speed": "1.0", "forked": "2.0", "folded": "1.0", "from-extra": "1.0",
        "from-group": "1.0", "split": "2.0",
    }  # fmt: skip
    assert pinned(lock, WINDOWS) == {**pinned(lock), "wincolor": "1.0", "split": "1.0"}
    assert lock.elsewhere == ("local (folder)", "repo (git)")
    (direct,) = [pin for pin in lock.pins(LINUX) if pin.project == "direct"]
    assert direct.hashes == {"sha256:aa", "sha256:bb"}
    with pytest.raises(Failure, match=r"it is for Python >=3\.9"):
        lock.pins(OLD)


def test_a_lock_of_a_script_begins_at_its_requirements_and_one_of_nothing_takes_all() -> None:
    packages = "".join(
        f'[[package]]\nname = "{name}"\nversion = "1.0"\nsource = {{ registry = "https://x/simple" }}\n'
        for name in ("a", "b")
    )

    assert pinned(
        locks.read("tool.py.lock", f'version = 1\n[manifest]\nrequirements = [{{ name = "a" }}]\n{packages}')
    ) == {"a": "1.0"}
    assert pinned(locks.read("uv.lock", f"version = 1\n{packages}")) == {"a": "1.0", "b": "1.0"}


# -- poetry.lock, pdm.lock, Pipfile.lock ----------------------------------------------------------

POETRY = """
[[package]]
name = "Plain.Name"
version = "1.0"
python-versions = ">=3.8"
files = [{file = "plain_name-1.0.tar.gz", hash = "sha256:AA"}]
[[package]]
name = "windows"
version = "1.0"
python-versions = "*"
markers = "sys_platform == 'win32'"
files = []
[[package]]
name = "grouped"
version = "1.0"
python-versions = ">=2.7, !=3.0.*"
markers = {main = "sys_platform == 'win32'", dev = "python_version >= '3.9'"}
files = []
[[package]]
name = "ungrouped"
version = "1.0"
python-versions = "^3.6 || ^4"
markers = {main = "extra == 'fast'", dev = ""}
[[package]]
name = "optional"
version = "1.0"
python-versions = "*"
markers = "extra == 'fast' and python_version >= '3.9'"
[[package]]
name = "too-new"
version = "1.0"
python-versions = ">=3.13"
[[package]]
name = "private"
version = "1.0"
python-versions = "*"
[package.source]
type = "legacy"
url = "https://x/simple"
[[package]]
name = "repo"
version = "1.0"
python-versions = "*"
[package.source]
type = "git"
url = "https://x/repo"
[metadata]
lock-version = "2.1"
[metadata.files]
private = [{file = "private-1.0.tar.gz", hash = "sha256:bb"}]
"""


def test_a_lock_of_poetry_is_read() -> None:
    lock = locks.read("poetry.lock", POETRY)

    assert set(pinned(lock)) == {"plain-name", "grouped", "ungrouped", "optional", "private"}
    assert set(pinned(lock, WINDOWS)) == {*pinned(lock), "windows"}
    assert lock.elsewhere == ("repo (git)",)
    assert {pin.project: set(pin.hashes) for pin in lock.pins(LINUX) if pin.hashes} == {
        "plain-name": {"sha256:aa"}, "private": {"sha256:bb"},
    }  # fmt: skip


def test_a_lock_of_pdm_is_read() -> None:
    lock = locks.read(
        "pdm.lock",
        """
        [metadata]
        requires_python = ">=3.9"
        [[package]]
        name = "web"
        version = "1.0"
        files = [{file = "web-1.0.tar.gz", hash = "sha256:aa"}]
        [[package]]
        name = "web"
        version = "1.0"
        extras = ["fast"]
        files = [{file = "web-1.0.tar.gz", hash = "sha256:aa"}]
        [[package]]
        name = "windows"
        version = "1.0"
        marker = "sys_platform == 'win32'"
        [[package]]
        name = "newer"
        version = "1.0"
        requires_python = ">=3.13"
        [[package]]
        name = "repo"
        version = "1.0"
        git = "https://x/repo"
        """,
    )

    assert lock.pins(LINUX) == [Pin("web", "1.0", frozenset({"sha256:aa"}))]
    assert set(pinned(lock, WINDOWS)) == {"web", "windows"}
    assert lock.elsewhere == ("repo (git)",)
    with pytest.raises(Failure, match=r"Python >=3\.9"):
        lock.pins(OLD)


def test_a_lock_of_pipenv_is_read() -> None:
    lock = locks.read(
        "Pipfile.lock",
        json.dumps(
            {
                "_meta": {"hash": {"sha256": "x"}},
                "default": {
                    "web": {"version": "==1.0", "hashes": ["sha256:AA"], "markers": "python_version >= '3.9'"},
                    "repo": {"git": "https://x/repo", "ref": "abc"},
                    "odd": {},
                },
                "develop": {"Tests": {"version": "==2.0"}},
            }
        ),
    )

    assert lock.pins(LINUX) == [Pin("web", "1.0", frozenset({"sha256:aa"})), Pin("tests", "2.0")]
    assert pinned(lock, OLD) == {"tests": "2.0"}
    assert lock.elsewhere == ("odd (no version)", "repo (git)")


# -- files that are meant -------------------------------------------------------------------------

WHEEL = File("pkg-1.0-py3-none-any.whl", "http://h/1", {"sha256": "AA"})
REBUILT = File("pkg-1.0-1-py3-none-any.whl", "http://h/2", {"sha256": "bb"})
SDIST = File("pkg-1.0.tar.gz", "http://h/3", {"sha256": "cc"})
UNKNOWN = File("pkg-1.0-py2.py3-none-any.whl", "http://h/4")
NEWER = File("pkg-2.0-cp313-cp313-win_amd64.whl", "http://h/5", requires_python=">=3.13")
YANKED = File("pkg-1.5.tar.gz", "http://h/6", is_yanked=True)
EARLY = File("pkg-3.0rc1.tar.gz", "http://h/7")
PAGE = (WHEEL, REBUILT, SDIST, NEWER, YANKED, EARLY)


@pytest.mark.parametrize(
    ("pin", "every", "chosen"),
    [
        (Pin("pkg", "1"), False, [REBUILT]),
        (Pin("pkg", "1.0"), True, [WHEEL, REBUILT, SDIST]),
        (Pin("pkg", "1.0", frozenset({"sha256:aa", "sha256:cc"})), False, [WHEEL]),
        (Pin("pkg", "1.0", frozenset({"sha256:cc"})), False, [SDIST]),
        (Pin("pkg", "1.0", frozenset({"sha512:dd"})), False, [REBUILT]),
        (Pin("pkg", "1.0", named=frozenset({SDIST.filename})), False, [SDIST, REBUILT]),
    ],
    ids=["by build number", "every", "hashes", "only the sdist", "no hash to compare", "by name, and the best"],
)
def test_files_of_a_pin_are_chosen(pin: Pin, every: bool, chosen: list[File]) -> None:
    assert pins.choose(pin, PAGE, LINUX, every=every) == chosen


@pytest.mark.parametrize(
    ("pin", "why"),
    [
        (Pin("pkg", "9"), "no such version"),
        (Pin("pkg", "what?"), "no such version"),
        (Pin("pkg", "1.0", frozenset({"sha256:00"})), "no file with a locked hash"),
        (Pin("pkg", "2.0"), "no wheel for Python 3.12 on linux-x86_64, and no sdist"),
    ],
    ids=["version", "no version", "hash", "wheel"],
)
def test_why_a_pin_has_no_file_is_said(pin: Pin, why: str) -> None:
    with pytest.raises(Missing, match=f"^{why}$"):
        pins.choose(pin, PAGE, LINUX)


@pytest.mark.parametrize(
    ("asked", "version"), [("pkg", "1.0"), ("pkg==1.5", "1.5"), ("pkg>=3.0rc1", "3.0rc1"), ("pkg<1.5", "1.0")]
)
def test_the_newest_version_that_can_be_had_is_taken(asked: str, version: str) -> None:
    assert pins.newest(Requirement(asked), PAGE, LINUX).version == version


@pytest.mark.parametrize(("asked", "why"), [("pkg>9", "no such version"), ("pkg==2.0", "no wheel for Python 3.12.*")])
def test_why_no_version_can_be_had_is_said(asked: str, why: str) -> None:
    with pytest.raises(Missing, match=why):
        pins.newest(Requirement(asked), PAGE, LINUX)


# -- requirement files ----------------------------------------------------------------------------


def test_lines_of_a_requirement_file() -> None:
    text = """# a comment \\
pkg[fast] >=1, \\
   <2 ; python_version > "3"  # why
  --hash=sha256:AB
-r "with space.txt"
-cother.txt
--index-url=http://x
-i http://y
--pre
-e .
hashed==1 --hash=sha256:AB \\
    --hash sha512:cd
https://x/#frag
--
-r "open
last \\"""

    found = [(line.number, line.option, line.value) for line in requirements.lines(text)]

    assert found == [
        (2, None, ""),
        (4, "--hash", "sha256:AB"),
        (5, "--requirement", "with space.txt"),
        (6, "--constraint", "other.txt"),
        (7, "--index-url", "http://x"),
        (8, "--index-url", "http://y"),
        (9, "--pre", ""),
        (10, "--editable", "."),
        (11, None, ""),
        (13, None, ""),
        (14, "--", ""),
        (15, "--requirement", '"open'),
        (16, None, ""),
    ]


def test_only_what_comes_from_an_index_is_asked_for() -> None:
    text = "a>=1\nb==1 --hash=sha256:AB --hash=sha512:cd\n./c\nd @ http://x/d.whl\ngit+https://x/e\nf.whl\n-e g\n/h\n../i\n"

    found = [requirements.asked(line) for line in requirements.lines(text)]

    assert [each for each in found if each is not None] == [
        Asked(Requirement("a>=1")),
        Asked(Requirement("b==1"), frozenset({"sha256:ab", "sha512:cd"})),
    ]


def written(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)


def test_files_that_include_each_other_are_read_once_and_constraints_limit(tmp_path: Path) -> None:
    written(
        tmp_path,
        requirements="-r more.txt\n-r http://x/r.txt\nA",
        more="-r requirements.txt\n-c limits.txt\nb>1",
        limits="a<2\nc<3",
    )

    asked = sources.read(["d"], ["requirements.txt"], tmp_path, "http://h/u/i").asked()

    assert [str(each.requirement) for each in asked] == ["d", "b>1", "A<2"]


@pytest.mark.parametrize(
    ("words", "files", "message", "code"),
    [
        ([], [], "Nothing is named", 2),
        (["./folder"], [], "'./folder' is no requirement", 2),
        (["pkg @ http://x/pkg.whl"], [], "not from an index", 2),
        (["notes.txt"], [], "'notes.txt' is", 2),
        ([], ["pyproject.toml"], "pyproject.toml is no lock file", 2),
        ([], ["nowhere.txt"], "cannot be read", 1),
        ([], ["latin.txt"], "not UTF-8", 1),
        (["requirements.txt"], [], "requirements.txt, line 2: '== 1' is no requirement", 1),
    ],
    ids=["nothing", "folder", "url", "other file", "project", "missing", "latin", "damaged"],
)
def test_what_cannot_be_read_is_said(
    tmp_path: Path, words: list[str], files: list[str], message: str, code: int
) -> None:
    written(tmp_path, requirements="ok\n== 1\n", notes="x y z")
    (tmp_path / "latin.txt").write_bytes(b"\xe9")

    with pytest.raises(Failure) as caught:
        sources.read(words, files, tmp_path, "http://h/u/i").asked()

    assert message in caught.value.what
    assert (caught.value.code, bool(caught.value.advice)) == (code, code == 2 or "read" in message or "UTF" in message)

"""What is rendered, and the file beside this one that holds it byte for byte.

`python -m tests.golden` writes the files anew; look at the difference before keeping it.
"""

from collections.abc import Callable
from pathlib import Path

from stilton.domain.files import File, Project, Status, by_version
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName
from stilton.render import devpi_json, simple

FOLDER = Path(__file__).parent / "files"
SHA = "0123456789abcdef" * 4
META = "fedcba9876543210" * 4
PKG = ProjectName("pkg")
NAMES = [ProjectName(name) for name in ("7zip", "a-b", "zope-interface")]

WHEEL = File(
    filename="pkg-1.0+local.1-py3-none-any.whl",
    url="https://u.example/files/pkg-1.0+local.1-py3-none-any.whl",
    hashes={"sha256": SHA, "md5": SHA[:32]},
    requires_python=">=3.8,<4",
    size=1234,
    upload_time="2024-01-02T03:04:05.678901Z",
    core_metadata={"sha256": META},
    provenance="https://u.example/provenance?a=1&b=2",
    more={"new-key": {"a": [1, None, "ü"]}},
)
SDIST = File(
    filename="pkg-0.9.tar.gz",
    url="https://u.example/files/pkg-0.9.tar.gz",
    hashes={"sha256": META},
    size=99,
    upload_time="2023-01-02T03:04:05Z",
    yanked="<b>\"broken\"</b> & 'old'",
    core_metadata=False,
    gpg_sig=False,
)
YANKED = File(filename="pkg-0.8.zip", hashes={"sha256": "a" * 64}, size=0, yanked=True, gpg_sig=True)
ODD = File(filename='pkg-0.7 é%20"<&>#?.tar.gz', url="https://u.example:8443/a b/x", requires_python="")
EVERYTHING = Project(
    name=PKG,
    files=(WHEEL, SDIST, YANKED),
    versions=("0.8", "0.9", "1.0+local.1"),
    status=Status("deprecated", "use <other> & be happy"),
    serial=42,
    meta={"api-version": "1.1", "tracks": ["https://t.example/pkg/"]},
    more={"alternate-locations": ["https://a.example/pkg/"]},
)
PLAIN_HTML_UPSTREAM = Project(
    name=PKG,
    files=(File(filename="pkg-1.0-py3-none-any.whl", url="https://u.example/f/pkg-1.0-py3-none-any.whl"), ODD),
    status=Status("archived"),
)
QUARANTINED = Project(name=PKG, status=Status("quarantined", "malware"), serial=7)
MIRROR = Index(
    "root", "pypi", {"type": "mirror", "mirror_url": "https://user:secret@u.example/simple/", "title": "PyPI"}
)


def _reply(kind: str, result: object) -> Callable[[], bytes]:
    return lambda: devpi_json.reply(kind, result)


def _page(project: Project) -> dict[str, Callable[[], bytes]]:
    return {
        "json": lambda: simple.page_json(project, "../../"),
        "html": lambda: simple.page_html(project, "../../", "root/pypi"),
    }


CASES: dict[str, Callable[[], bytes]] = {
    **{f"everything.{form}": make for form, make in _page(EVERYTHING).items()},
    **{f"plain-upstream.{form}": make for form, make in _page(PLAIN_HTML_UPSTREAM).items()},
    **{f"quarantined.{form}": make for form, make in _page(QUARANTINED).items()},
    **{f"empty.{form}": make for form, make in _page(Project(name=PKG)).items()},
    "short-url.html": lambda: simple.page_html(EVERYTHING, "", "root/pypi"),
    "list.json": lambda: b"".join(simple.list_json(NAMES, 42)),
    "list.html": lambda: b"".join(simple.list_html(NAMES, "root/pypi")),
    "empty-list.json": lambda: b"".join(simple.list_json([])),
    "empty-list.html": lambda: b"".join(simple.list_html([], "root/pypi")),
    "userconfig.json": _reply("userconfig", devpi_json.user_config({"username": "root", "pwhash": "secret"}, [MIRROR])),
    "projectconfig.json": _reply(
        "projectconfig",
        {
            version: devpi_json.mirrored("http://localhost:3141", IndexName("root/pypi"), PKG, version, files)
            for version, files in by_version(EVERYTHING).items()
        },
    ),
    "message.json": lambda: devpi_json.reply(message="The stage a/b could not be found."),
}

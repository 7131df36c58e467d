"""`devpi upload`: builds a project or takes files, and sends what the index does not have yet.

A list that stopped half-way goes on where it stopped when it is run again: before a file is sent, the index is
asked whether it has these bytes under this name.
"""

import configparser
import json
import os
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import urllib3
from packaging.utils import canonicalize_name

from stilton_client import archives, building, forms, releases, urls
from stilton_client.archives import Docs, Release
from stilton_client.command import command
from stilton_client.errors import Failure, Unreachable
from stilton_client.http import JSON, Reply
from stilton_client.session import LOGIN_ADVICE, Index, Session
from stilton_client.terminal import Terminal

PAUSES_S = (0.5, 2.0, 8.0)
"""Before an upload is tried again; a server's Retry-After comes before that."""
MAX_PAUSE_S = 120.0
BUSY = frozenset({429, 502, 503, 504})
MAX_ANSWER_BYTES = 1 << 20
IDENTICAL = "Upload of identical file"
_FLAGS = ("no-vcs", "setupdir-only", "sdist", "wheel")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Options:
    """What was typed."""

    python: str | None
    no_vcs: bool
    setupdir_only: bool
    formats: str | None
    sdist: bool
    wheel: bool
    no_isolation: bool
    with_docs: bool
    only_docs: bool
    index: str | None
    from_dir: bool
    only_latest: bool
    dry_run: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a file. `status`: uploaded, present, skipped or refused."""

    file: str
    sha256: str
    size: int
    status: str
    message: str = ""


@command(
    "upload",
    example="""devpi upload
               devpi upload --sdist --with-docs
               devpi upload dist/pkg-1.0-py3-none-any.whl dist/pkg-1.0.tar.gz
               devpi upload --from-dir --only-latest --index team/dev wheelhouse
               devpi upload --dry-run --from-dir dist""",
    json=True,
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("-p", "--python", metavar="EXE", help="interpreter to build with  [the active environment's]")
@click.option("--no-vcs", is_flag=True, help="build in this folder, not in a copy of what git or hg tracks")
@click.option("--setupdir-only", is_flag=True, help="copy only this folder, without .git or .hg")
@click.option("--formats", metavar="CSV", help="deprecated: use --sdist, --wheel")
@click.option("--sdist", is_flag=True, help="build a source distribution")
@click.option("--wheel", is_flag=True, help="build a wheel")
@click.option("--no-isolation", is_flag=True, help="build with what is installed, not in a fresh environment")
@click.option("--with-docs", is_flag=True, help="build documentation with Sphinx, too")
@click.option("--only-docs", is_flag=True, help="build documentation only")
@click.option("--index", metavar="INDEX", help="NAME, USER/NAME or URL  [the current index]")
@click.option("--from-dir", is_flag=True, help="look for files in folders, and the folders in them")
@click.option("--only-latest", is_flag=True, help="of each project, only files of the newest version found")
@click.option("--dry-run", is_flag=True, help="send nothing, say what would be sent")
def upload_(session: Session, paths: Sequence[Path], **given: Any) -> None:  # noqa: ANN401 - see Options
    """Build the project in this folder and upload it, or upload files.

    Without PATH, a source distribution and, out of that, a wheel are built from what git or hg tracks. Files that
    the index has already are not sent again, so a list that stopped can be run again.

    Defaults for --no-vcs, --setupdir-only, --sdist and --wheel may stand in pyproject.toml, [tool.devpi.upload], or
    in setup.cfg, [devpi:upload].
    """
    options = Options(**given)
    index = session.index(options.index)
    if index.submit is None:
        raise Failure(
            f"The current index {index.url} does not support upload.\nMost likely, it is a mirror.",
            "Choose another: --index USER/NAME",
        )
    if not options.dry_run:
        check_login(session, index)
    if not paths:
        paths = building.build_project(
            wish(options, session.cwd, session.terminal), session.cwd, session.terminal, session.environ
        )
    with tempfile.TemporaryDirectory(prefix="devpi-") as folder:
        items = found(paths, options, session.terminal, Path(folder))
        Sender(session, index, index.submit, dry_run=options.dry_run).send(items)


def check_login(session: Session, index: Index) -> None:
    """Raises Failure when the server knows nobody and the index is not for everybody."""
    status = session.discover(index.url).get("authstatus")
    if not isinstance(status, list) or not status or status[0] == "ok":
        return
    config = session.http.api("GET", urls.with_query(index.url, no_projects=""))
    allowed = config.result.get("acl_upload") if isinstance(config.result, dict) else None
    if isinstance(allowed, list) and ":ANONYMOUS:" in allowed:
        return
    sent = session.login_for(index.url).token
    if sent is None:
        raise Failure("you need to be logged in (use 'devpi login USER')", LOGIN_ADVICE)
    session.state.log_off(index.root, sent[0])
    raise Failure(f"The login of {sent[0]!r} has ended", f"Log in again: devpi login {sent[0]}")


# -- what to build ---------------------------------------------------------------------------------


def wish(options: Options, project: Path, terminal: Terminal) -> building.Wish:
    """What the options and the project's files ask for. Raises Failure."""
    config = configured(project, terminal)
    flags = {name: bool(getattr(options, name.replace("-", "_")) or config.get(name)) for name in _FLAGS}
    sdist, wheel = flags["sdist"], flags["wheel"]
    formats = options.formats or config.get("formats")
    if formats and not (sdist or wheel):
        sdist, wheel = _of_formats(str(formats), terminal)
    return building.Wish(
        sdist=sdist,
        wheel=wheel,
        releases=not options.only_docs,
        docs=options.with_docs or options.only_docs,
        python=options.python,
        isolated=not options.no_isolation,
        exported=not flags["no-vcs"],
        setupdir_only=flags["setupdir-only"],
    )


def configured(project: Path, terminal: Terminal) -> dict[str, bool | str]:
    """Defaults of the project. Raises Failure when they stand in two files, or are no booleans."""
    ini, toml = _setup_cfg(project / "setup.cfg"), _pyproject(project / "pyproject.toml")
    if ini is not None and toml is not None:
        raise Failure("Got configuration in pyproject.toml and setup.cfg, choose one.", "Remove one of both sections.")
    origin = "setup.cfg [devpi:upload]" if ini is not None else "pyproject.toml [tool.devpi.upload]"
    config: dict[str, bool | str] = {}
    for name, value in (ini if ini is not None else toml or {}).items():
        if name in _FLAGS:
            config[name] = _flag(value, f"{origin}: {name}")
        elif name == "formats" and ini is not None:
            config[name] = str(value)
        else:
            terminal.warn(f"{origin}: there is no setting {name!r}")
            continue
        terminal.note(f"Got {name}={value!r} from {origin}.")
    return config


def _setup_cfg(path: Path) -> Mapping[str, Any] | None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise Failure(f"{path} is not understood ({error})") from error
    return dict(parser["devpi:upload"]) if "devpi:upload" in parser else None


def _pyproject(path: Path) -> Mapping[str, Any] | None:
    try:
        document: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Failure(f"{path} is not understood ({error})") from error
    for name in ("tool", "devpi", "upload"):
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else None


def _flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUE + _FALSE:
        return value.strip().lower() in _TRUE
    raise Failure(f"{where} is {value!r}", "Write true or false.")


def _of_formats(formats: str, terminal: Terminal) -> tuple[bool, bool]:
    names = [name.strip() for name in formats.split(",") if name.strip()]
    sdist, wheel = any(name.startswith("sdist") for name in names), "bdist_wheel" in names
    for name in names:
        if not name.startswith("sdist") and name != "bdist_wheel":
            terminal.warn(f"{name} is a format of the past: it is not built")
    if not (sdist or wheel):
        raise Failure(f"--formats {formats} asks for nothing that can be built", "Use --sdist, --wheel, or neither.")
    instead = "remove it" if sdist and wheel else f"replace it with {'--sdist' if sdist else '--wheel'}"
    terminal.warn(f"The --formats option is deprecated, {instead}.")
    return (False, False) if sdist and wheel else (sdist, wheel)


# -- what to send ----------------------------------------------------------------------------------


def found(paths: Iterable[Path], options: Options, terminal: Terminal, work: Path) -> list[Release | Docs]:
    """Releases by file name, then documentation. Raises Failure when there is nothing, or something is damaged."""
    items: list[Release | Docs] = []
    for path in _files(paths, from_dir=options.from_dir):
        item = archives.docs(path) or archives.release(path)
        if item is not None:
            items.append(item)
        elif not path.name.endswith(forms.ATTESTATIONS_SUFFIX):
            terminal.warn(f"{path}: does not contain PKGINFO, skipping")
    if not items:
        raise Failure("there is nothing to upload", "Name files of releases, or folders with --from-dir.")
    if options.only_latest:
        items = _latest(items)
    items.sort(key=lambda item: (isinstance(item, Docs), item.path.name, item.path))
    return [_as_zip(item, terminal, work) if isinstance(item, Docs) else item for item in items]


def _as_zip(docs: Docs, terminal: Terminal, work: Path) -> Docs:
    zipped = archives.zipped_docs(docs, work)
    if zipped.path != docs.path:
        terminal.note(f"repackaged {docs.path.name} to {zipped.path.name}")
    return zipped


def _files(paths: Iterable[Path], *, from_dir: bool) -> list[Path]:
    """Each file once."""
    files: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir() and not from_dir:
            raise Failure(f"{path}: is a directory but --from-dir not specified", "Add --from-dir.")
        if not path.exists():
            raise Failure(f"path does not exist: {path}", "Nothing was uploaded.")
        for file in _archives_in(path) if path.is_dir() else [path]:
            files.setdefault(file.resolve(), file)
    return list(files.values())


def _archives_in(folder: Path) -> Iterator[Path]:
    """Through links, too, but into no folder twice."""
    seen = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        place = Path(here).stat()
        if (place.st_dev, place.st_ino) in seen:
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        folders.sort()
        yield from (
            Path(here, name) for name in sorted(names) if archives.is_archive(name) and Path(here, name).is_file()
        )


def _latest(items: Iterable[Release | Docs]) -> list[Release | Docs]:
    newest: dict[str, Any] = {}
    items = list(items)
    for item in items:
        if item.version:
            name = canonicalize_name(item.name)
            newest[name] = max(newest.get(name, releases.version_key("")), releases.version_key(item.version))
    return [
        item
        for item in items
        if not item.version or releases.version_key(item.version)[:2] == newest[canonicalize_name(item.name)][:2]
    ]


# -- sending ---------------------------------------------------------------------------------------


class Sender:
    """Sends files to one index, stops at the first that is refused, and tells in the end what became of each."""

    def __init__(self, session: Session, index: Index, submit: str, *, dry_run: bool) -> None:
        self._session = session
        self._out = session.terminal
        self._index = index
        self._submit = submit
        self._dry_run = dry_run
        self._outcomes: list[Outcome] = []
        self._known: dict[str, dict[str, Any]] = {}

    def send(self, items: Iterable[Release | Docs]) -> None:
        """Send all. Raises Failure."""
        try:
            for item in items:
                self._one(item)
        finally:
            self._out.data({"files": [asdict(each) for each in self._outcomes], "index": self._index.url})

    def _one(self, item: Release | Docs) -> None:
        digests = forms.digests(item.path)
        refusal: Failure | None = None
        if self._dry_run:
            status, said = "skipped", ""
        elif self._is_there(item, digests.sha256):
            status, said = "present", ""
        else:
            status, said, refusal = self._sent(item, digests)
        self._outcomes.append(Outcome(item.path.name, digests.sha256, digests.size, status, said))
        if refusal is not None:
            raise refusal
        self._tell(item, status, said)

    def _tell(self, item: Release | Docs, status: str, said: str) -> None:
        if status == "present":
            self._out.line(f"already there: {item.path.name}")
        elif status == "skipped":
            self._out.line(f"skipped: {self._what(item)}")
        else:
            self._out.info(self._what(item))
            if said:
                self._out.warn(said)

    def _what(self, item: Release | Docs) -> str:
        action = "doc_upload" if isinstance(item, Docs) else "file_upload"
        return f"{action} of {item.path.name} to {urls.hidden(self._submit)}"

    def _sent(self, item: Release | Docs, digests: forms.Digests) -> tuple[str, str, Failure | None]:
        """What became of it, what the server said, and what ends the list, if anything does."""
        try:
            reply, said = self._posted(item, digests)
        except Failure as failure:
            return "refused", failure.what, failure
        if reply.status != 200:
            return "refused", said, self._refused(reply, said, self._what(item))
        return "present" if IDENTICAL in said else "uploaded", said, None

    def _refused(self, reply: Reply, said: str, what: str) -> Failure:
        self._out.error(f"{reply.status} FAIL {what}")
        self._out.error(said)
        return Failure(f"POST to {urls.hidden(self._submit)} FAILED", self._advice(reply))

    def _advice(self, reply: Reply) -> str:
        location = next((value for name, value in reply.headers.items() if name.lower() == "location"), None)
        if 300 <= reply.status < 400 and location:
            return f"Uploads are not redirected. `devpi use` the URL that the server names: {urls.hidden(location)}"
        match reply.status:
            case 409:
                return "An index that is not volatile keeps what it has: release a new version."
            case 413:
                return "The server, or a web server in front of it, takes no file as large as this."
            case _:
                return self._session.refused(reply).advice

    def _posted(self, item: Release | Docs, digests: forms.Digests) -> tuple[Reply, str]:
        """The answer, and the words in it. Tries again what a second time may work. Raises Failure."""
        fields = forms.docs_fields(item) if isinstance(item, Docs) else forms.release_fields(item, digests)
        for pause_s in PAUSES_S:
            try:
                reply, said = self._post(fields, item.path, digests.size)
            except Unreachable as failure:
                why, wait_s = failure.what, pause_s
            else:
                if reply.status not in BUSY:
                    return reply, said
                why, wait_s = f"{reply.status} {said}", _pause(reply, pause_s)
            self._out.warn(f"{item.path.name}: {why}; trying again in {wait_s:g} s")
            time.sleep(wait_s)
        return self._post(fields, item.path, digests.size)

    def _post(self, fields: forms.Fields, path: Path, size: int) -> tuple[Reply, str]:
        with self._out.progress(path.name, size, in_bytes=True) as bar:
            body = forms.Body(fields, path, size, bar.advance)
            headers = {"Accept": JSON, "Content-Type": body.content_type, "Content-Length": str(body.length)}
            with self._session.http.open("POST", self._submit, body=body, headers=headers) as response:
                return _answer(self._submit, response)

    def _is_there(self, item: Release | Docs, sha256: str) -> bool:
        for version, release in self._project(item.name).items():
            for link in releases.links(release, self._index.url):
                same = link.hashes.get("sha256") == sha256 and f"/{self._index.name}/" in link.href
                if same and isinstance(item, Docs) and link.rel == "doczip" and version == item.version:
                    return True
                if same and isinstance(item, Release) and (link.rel, link.basename) == ("releasefile", item.path.name):
                    return True
        return False

    def _project(self, name: str) -> dict[str, Any]:
        """Versions that the index itself has; none if it does not tell. Raises Unreachable."""
        name = canonicalize_name(name)
        if name not in self._known:
            reply = self._session.http.api("GET", urls.with_query(self._index.project(name), ignore_bases=""))
            self._known[name] = reply.result if reply.ok and isinstance(reply.result, dict) else {}
        return self._known[name]


def _answer(url: str, response: urllib3.BaseHTTPResponse) -> tuple[Reply, str]:
    """devpi-server says what is wrong in the reason, in a JSON message, or in plain text."""
    raw = response.read(MAX_ANSWER_BYTES, decode_content=True)
    reason = response.reason or ""
    kind = (response.headers.get("content-type") or "").partition(";")[0].strip()
    payload: Any = {}
    if kind == JSON:
        try:
            payload = json.loads(raw)
        except ValueError:
            payload = {}
    reply = Reply("POST", url, response.status, reason, dict(response.headers), payload)
    if reply.type == "actionlog" and isinstance(reply.result, list):
        lines = [" ".join(map(str, each)) if isinstance(each, list) else str(each) for each in reply.result]
        return reply, "\n".join(lines)
    plain = raw.decode(errors="replace").strip() if kind == "text/plain" else ""
    return reply, reply.message or plain or (reason if response.status != 200 or IDENTICAL in reason else "")


def _pause(reply: Reply, otherwise_s: float) -> float:
    """Retry-After, if it says seconds."""
    value = next((value for name, value in reply.headers.items() if name.lower() == "retry-after"), "")
    return min(float(value), MAX_PAUSE_S) if value.isdecimal() else otherwise_s

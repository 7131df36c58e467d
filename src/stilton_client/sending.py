"""Sends releases and documentation to an index: what it has already is passed over, what failed is tried again.

A list that stopped half-way goes on where it stopped when it is sent again: before a file is sent, the index is asked
whether it has these bytes under this name.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from stilton_client import connections, forms, http, releases, urls
from stilton_client.archives import Docs, Release
from stilton_client.errors import Failure, Unreachable
from stilton_client.http import JSON, Reply
from stilton_client.session import Index, Session

PAUSES_S = (0.5, 2.0, 8.0)
"""Before an upload is tried again; a server's Retry-After comes before that."""
MAX_PAUSE_S = 120.0
IDENTICAL = "Upload of identical file"
_ADVICE = {
    400: "Change what the server names, and build the file again.",
    404: "See which indexes there are: devpi use -l",
    409: "An index that is not volatile keeps what it has: release a new version.",
    413: "The server, or a web server in front of it, takes no file as large as this.",
}


@dataclass(frozen=True)
class Outcome:
    """What became of a file. `status`: uploaded, present, skipped or refused."""

    file: str
    sha256: str
    size: int
    status: str
    message: str = ""


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

    def send(self, items: Iterable[Release | Docs], left_out: Mapping[str, str]) -> None:
        """Send all, and tell in the end what was left out before, and why. Raises Failure."""
        try:
            for item in items:
                self._one(item)
        finally:
            for path, why in left_out.items():
                self._out.error(f"left out: {path}: {why}")
            files = [asdict(each) for each in self._outcomes]
            self._out.data({"files": files, "index": self._index.url, "left_out": left_out})

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
            reply = self._posted(item, digests)
        except Failure as failure:
            return "refused", failure.what, failure
        said = words(reply)
        if reply.status != 200:
            return "refused", said, self._refused(reply, said, self._what(item))
        return "present" if IDENTICAL in said else "uploaded", said, None

    def _refused(self, reply: Reply, said: str, what: str) -> Failure:
        self._out.error(f"{reply.status} FAIL {what}")
        self._out.error(said)
        return Failure(f"POST to {urls.hidden(self._submit)} FAILED", self._advice(reply))

    def _advice(self, reply: Reply) -> str:
        location = reply.header("location")
        if 300 <= reply.status < 400 and location:
            return f"Uploads are not redirected. `devpi use` the URL that the server names: {urls.hidden(location)}"
        if reply.status in _ADVICE:
            return _ADVICE[reply.status]
        otherwise = "Run it again later: what the index has already is not sent again." if reply.status >= 500 else ""
        return self._session.refused(reply).advice or otherwise

    def _posted(self, item: Release | Docs, digests: forms.Digests) -> Reply:
        """The answer. Tries again what a second time may work. Raises Failure."""
        fields = forms.docs_fields(item) if isinstance(item, Docs) else forms.release_fields(item, digests)
        for pause_s in PAUSES_S:
            try:
                reply = self._post(fields, item.path, digests.size)
            except Unreachable as failure:
                why, wait_s = failure.what, pause_s
            else:
                if reply.status not in connections.BUSY:
                    return reply
                why, wait_s = f"{reply.status} {words(reply)}", _pause(reply, pause_s)
            self._out.warn(f"{item.path.name}: {why}; trying again in {wait_s:g} s")
            time.sleep(wait_s)
        return self._post(fields, item.path, digests.size)

    def _post(self, fields: forms.Fields, path: Path, size: int) -> Reply:
        with self._out.progress(path.name, None, in_bytes=True) as bar:
            body = forms.Body(fields, path, size, bar.advance)
            bar.expect(body.length)  # the form is sent, too
            headers = {"Accept": JSON, "Content-Type": body.content_type, "Content-Length": str(body.length)}
            with self._session.http.open("POST", self._submit, body=body, headers=headers) as response:
                return http.reply("POST", self._submit, response)

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


def words(reply: Reply) -> str:
    """What the server says about an upload; of one that it took, only what is more than that."""
    if reply.status == 200 and reply.words == reply.reason and IDENTICAL not in reply.reason:
        return ""
    return reply.words or ("" if reply.status == 200 else reply.reason)


def _pause(reply: Reply, otherwise_s: float) -> float:
    """Retry-After, if it says seconds."""
    value = reply.header("retry-after") or ""
    return min(float(value), MAX_PAUSE_S) if value.isdecimal() else otherwise_s

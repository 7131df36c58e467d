"""Private indexes: pages of one's own and inherited ones, uploads small and huge."""

import base64
import contextlib
import http.client
import itertools
import json
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bench import programs, report, upstream, warm, wheels
from bench.cold import sha256sum_s
from bench.lab import Lab
from bench.processes import BenchError, run
from bench.report import Row
from bench.server import HTML, JSON, Server

USER, PASSWORD = "bench", "a password of the benchmark"
INDEX = f"{USER}/dev"
PAGE_SHARE = 0.35
UPLOADS_PER_S = 200
CLIENTS = 8
HUGE_LIMIT = 1.5
LATENCY_LIMIT = 1.5
FEW_FILES, MANY_FILES = 100, 10_000
PROJECTS = 100
"""The many files are of so many projects."""
_BOUNDARY = "boundary-of-the-benchmark"


class Team:
    """A user with an index over root/pypi. `secret`: password or token."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.secret = PASSWORD
        netloc = urlsplit(server.url).netloc
        self._netloc = netloc
        with contextlib.closing(self.connect()) as connection:
            self.ask(connection, "PUT", f"/{USER}", {"password": PASSWORD}, known=409)
            self.ask(connection, "PUT", f"/{INDEX}", {"bases": "root/pypi"}, known=409)

    def connect(self) -> http.client.HTTPConnection:
        """A connection that stays open."""
        return http.client.HTTPConnection(self._netloc, timeout=60)

    def token(self) -> str:
        """A login token."""
        with contextlib.closing(self.connect()) as connection:
            answer = self.ask(connection, "POST", "/+login", {"user": USER, "password": PASSWORD})
        return str(answer["result"]["password"])

    def ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, document: object, known: int = 0
    ) -> dict[str, dict[str, str]]:
        """A JSON request. Raises BenchError when it is refused, unless with the status `known`."""
        headers = {"Accept": "application/json", "Authorization": self.authorization()}
        connection.request(method, path, json.dumps(document), headers)
        response = connection.getresponse()
        body = response.read()
        if response.status not in (200, 201, known):
            raise BenchError(f"{method} {path}: {response.status} {body[:200]!r}")
        answer: dict[str, dict[str, str]] = json.loads(body)
        return answer

    def upload(self, connection: http.client.HTTPConnection, wheel: wheels.Wheel) -> None:
        """Upload one wheel. Raises BenchError when it is refused."""
        body = form(wheel)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
            "Authorization": self.authorization(),
        }
        connection.request("POST", f"/{INDEX}/", body, headers)
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise BenchError(f"the upload of {wheel.filename}: {response.status} {text[:200]!r}")

    def authorization(self) -> str:
        """The header."""
        return "Basic " + base64.b64encode(f"{USER}:{self.secret}".encode()).decode()


def form(wheel: wheels.Wheel) -> bytes:
    """The form that twine sends, its most important fields."""
    fields = {
        ":action": "file_upload", "protocol_version": "1", "filetype": "bdist_wheel", "pyversion": "py3",
        "metadata_version": "2.1", "name": wheel.project, "version": wheel.version,
    }  # fmt: skip
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    file = f'Content-Disposition: form-data; name="content"; filename="{wheel.filename}"\r\n\r\n'
    head = "".join(f"--{_BOUNDARY}\r\n{part}" for part in [*parts, file])
    return head.encode() + wheel.content + f"\r\n--{_BOUNDARY}--\r\n".encode()


def pages(lab: Lab) -> Iterator[Row]:
    """A page of ten files of one's own, and one that is inherited from the mirror."""
    server = lab.warm()
    team = Team(server)
    with contextlib.closing(team.connect()) as connection:
        for number in range(upstream.SMALL_RELEASES):
            team.upload(connection, wheels.small("bench-own", f"1.{number}", []))
    for name, project in (("private", "bench-own"), ("inherited", upstream.SMALL)):
        for form_name, accept in (("JSON", JSON), ("HTML", HTML)):
            headers = {"Accept": accept, "Accept-Encoding": warm.GZIP}
            url = f"{server.url}/{INDEX}/+simple/{project}/"
            yield warm.page_at(lab, server, f"warm {name} page, {form_name}, gzip", url, headers, PAGE_SHARE)


def uploads(lab: Lab) -> Iterator[Row]:
    """Small wheels from eight clients, with a login token and with the password; then what one more costs."""
    with lab.fresh(lab.upstream.url) as server:
        team = Team(server)
        numbers = itertools.count()
        few = _latency(team, "bench-few", FEW_FILES, numbers)
        token = team.token()
        half = (MANY_FILES - FEW_FILES) // 2
        for kind, secret in (("a login token", token), ("the password", PASSWORD)):
            team.secret = secret
            before = server.cpu_s()
            rate = half / _crowd(team, half, numbers)
            yield Row(
                case=f"uploads of 20 kB from {CLIENTS} clients with {kind}", target=f"≥ {UPLOADS_PER_S}/s",
                measured=f"{rate:,.0f}/s", reached=rate >= UPLOADS_PER_S, stilton=f"{rate:,.0f}/s",
                cpu=report.per_request(server.cpu_s() - before, half), raw={"rate": rate},
            )  # fmt: skip
        many = _latency(team, "bench-many", 0, numbers)
        yield report.at_most(
            f"upload and first page, {MANY_FILES:,} files in the index", LATENCY_LIMIT,
            of=f"with {FEW_FILES} files", baseline=few, stilton=many, cpu="",
        )  # fmt: skip


def huge_upload(lab: Lab) -> Iterator[Row]:
    """A wheel of 200 MB, with curl."""
    floors, taken, grown, cpu_s = [], [], [], 0.0
    for _ in range(lab.effort.colds):
        floors.append(sha256sum_s(lab.huge) + _copy_s(lab.huge, lab.place / "copy"))
        with lab.fresh(lab.upstream.url) as server:
            Team(server)
            server.settle()
            memory, cpu_s = server.memory_bytes(), cpu_s - server.cpu_s()
            taken.append(_curl_s(server, lab.huge))
            cpu_s += server.cpu_s()
            grown.append((server.memory_bytes() - memory) / 1e6)
    cpu = report.per_gigabyte(cpu_s, lab.huge_bytes * len(taken))
    yield report.at_most(
        "upload of 200 MB", HUGE_LIMIT, of="(`sha256sum` + `cp`)", baseline=floors, stilton=taken, cpu=cpu
    )
    yield Row(
        case="upload of 200 MB: memory grows by", target="flat", measured=f"{max(grown):.0f} MB",
        reached=max(grown) < lab.huge_bytes / 1e6 / 10, stilton=f"{max(grown):.0f} MB", raw={"grown": grown},
    )  # fmt: skip


def _latency(team: Team, project: str, files: int, numbers: Iterator[int]) -> list[float]:
    """Fill the index up to `files`; then seconds of an upload and the page that shows it, several times."""
    if files:
        _crowd(team, files, numbers)
    taken = []
    with contextlib.closing(team.connect()) as connection:
        for number in range(20):
            wheel = wheels.small(project, f"1.{number}", [])
            begun = time.perf_counter()
            team.upload(connection, wheel)
            connection.request("GET", f"/{INDEX}/+simple/{project}/", headers={"Accept": JSON})
            shown = json.loads(connection.getresponse().read())
            taken.append(time.perf_counter() - begun)
            if len(shown["files"]) != number + 1:
                raise BenchError(f"the page of {project} does not show the upload before it")
    return taken


def _crowd(team: Team, count: int, numbers: Iterator[int]) -> float:
    """Upload so many wheels from several clients; seconds, without those for making the wheels."""
    made: queue.SimpleQueue[wheels.Wheel] = queue.SimpleQueue()
    for number in itertools.islice(numbers, count):
        made.put(wheels.small(f"bench-up-{number % PROJECTS:03}", f"1.{number}", []))
    failures: list[Exception] = []

    def client() -> None:
        with contextlib.closing(team.connect()) as connection, contextlib.suppress(queue.Empty):
            while not failures:
                try:
                    team.upload(connection, made.get_nowait())
                except (BenchError, OSError, http.client.HTTPException) as error:
                    failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise BenchError(str(failures[0]))
    return time.perf_counter() - begun


def _copy_s(source: Path, target: Path) -> float:
    begun = time.perf_counter()
    run([programs.find("cp", "coreutils"), source, target], within_s=30)
    taken = time.perf_counter() - begun
    target.unlink()
    return taken


def _curl_s(server: Server, wheel: Path) -> float:
    curl = programs.find("curl", "curl")
    fields = {":action": "file_upload", "name": upstream.HUGE, "version": "1.0", "content": f"@{wheel}"}
    command: list[str | Path] = [curl, "-sS", "--fail-with-body", "--noproxy", "*", "-u", f"{USER}:{PASSWORD}"]
    command += [part for name, value in fields.items() for part in ("-F", f"{name}={value}")]
    begun = time.perf_counter()
    run([*command, f"{server.url}/{INDEX}/"], within_s=60)
    return time.perf_counter() - begun


CASES = {"private-page": pages, "uploads": uploads, "huge-upload": huge_upload}

"""Clients: many small requests (wrk), whole files and ranges (curl), a crowd, one request.

Each says what it saw; nothing is compared here.
"""

import contextlib
import http.client
import re
import selectors
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench import programs
from bench.processes import BenchError, run

CONNECTIONS = 64
_REQUESTS = re.compile(r"(\d+) requests in ")
_RATE = re.compile(r"Requests/sec:\s*([\d.]+)")
_NOT_OK = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_TRANSFER = "%{http_code} %{size_download} %{time_starttransfer} %{time_total}\n"
_TAKE_BYTES = 1 << 20


@dataclass(frozen=True)
class Answer:
    """One answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    requests: int
    per_s: float


@dataclass(frozen=True)
class Transfer:
    """What curl saw: seconds from the start to the first and to the last byte."""

    first_byte_s: float
    total_s: float


def get(url: str, headers: Mapping[str, str] | None = None) -> Answer:
    """One request, on a connection of its own. Raises OSError and http.client.HTTPException."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", parts.path, headers=dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def answers(url: str) -> bool:
    """Whether a request gets a 200."""
    try:
        return get(url).status == 200
    except (OSError, http.client.HTTPException):
        return False


def press(url: str, headers: Mapping[str, str], seconds: int) -> Load:
    """Ask for one URL over 64 connections. Raises BenchError when an answer is not a success."""
    wrk = programs.find("wrk", "wrk")
    named = [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]
    command = [str(wrk), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", *named, url]
    text = run(command, within_s=seconds + 20)
    failed = sum(
        int(count) for found in (_NOT_OK.search(text), _SOCKET_ERRORS.search(text)) if found for count in found.groups()
    )
    requests, rate = _REQUESTS.search(text), _RATE.search(text)
    if failed or requests is None or rate is None:
        raise BenchError(f"{failed} of wrk's requests failed: {text.strip()[-300:]}")
    return Load(int(requests[1]), float(rate[1]))


def transfer(url: str, size_bytes: int, *, pieces: int = 1) -> Transfer:
    """Fetch a file, whole or in ranges one after the other. Raises BenchError when bytes are missing."""
    curl = programs.find("curl", "curl")
    common = ["-s", "--noproxy", "*", "-o", "/dev/null", "-w", _TRANSFER]
    command: list[str] = [str(curl), "-q"]
    for number in range(pieces):
        start, end = number * size_bytes // pieces, (number + 1) * size_bytes // pieces - 1
        ranged = ["-r", f"{start}-{end}"] if pieces > 1 else []
        command += ["--next"] * (number > 0) + common + ranged + [url]
    lines = [line.split() for line in run(command, within_s=60).splitlines()]
    got = sum(int(size) for _, size, _, _ in lines)
    if got != size_bytes or {code for code, *_ in lines} != {"206" if pieces > 1 else "200"}:
        raise BenchError(f"curl got {got} of {size_bytes} bytes: {lines}")
    return Transfer(float(lines[0][2]), sum(float(total) for *_, total in lines))


def curls(url: str, size_bytes: int, clients: int) -> float:
    """Seconds until that many curls, all at once, have the whole file. Raises BenchError when bytes are missing."""
    command = [str(programs.find("curl", "curl")), "-q", "-s", "--noproxy", "*", "-o", "/dev/null"]
    begun = time.perf_counter()
    crowd: list[subprocess.Popen[str]] = []
    try:
        for _ in range(clients):
            crowd.append(subprocess.Popen([*command, "-w", "%{size_download}", url], stdout=subprocess.PIPE, text=True))
        got = [curl.communicate(timeout=60)[0] for curl in crowd]
    except subprocess.TimeoutExpired as error:
        raise BenchError("the curls did not get their file within 60 s") from error
    finally:
        for curl in crowd:
            curl.kill()
            curl.wait()
    if got != [str(size_bytes)] * clients:
        raise BenchError(f"{clients} curls got {got} bytes, not {size_bytes} each")
    return time.perf_counter() - begun


def droppers(url: str, size_bytes: int, clients: int) -> float:
    """The same for clients that cost next to nothing: the kernel drops what they get (MSG_TRUNC).

    Clients and server share two cores; this tells what the server's part is.
    """
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
    begun = time.perf_counter()
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for _ in range(clients):
            client = stack.enter_context(socket.create_connection((parts.hostname or "", parts.port or 80)))
            client.sendall(request)
            selector.register(client, selectors.EVENT_READ)
        total = _drain(selector, deadline=begun + 60)
    taken_s = time.perf_counter() - begun
    # Answers have headers too, of less than 2,000 bytes each.
    if not 0 <= total - clients * size_bytes < clients * 2_000:
        raise BenchError(f"{clients} clients got {total} bytes, not {clients} times {size_bytes}")
    return taken_s


def _drain(selector: selectors.BaseSelector, *, deadline: float) -> int:
    """Read until all have been closed by the server; bytes read."""
    place = bytearray(_TAKE_BYTES)
    total = 0
    while selector.get_map():
        if time.perf_counter() > deadline:
            raise BenchError("the clients did not get their file within 60 s")
        for key, _ in selector.select(1.0):
            client = key.fileobj
            assert isinstance(client, socket.socket)
            got = client.recv_into(place, _TAKE_BYTES, socket.MSG_TRUNC)
            if not got:
                selector.unregister(client)
            total += got
    return total

"""A proxy that speaks HTTP, CONNECT, SOCKS4a and SOCKS5 on one port, with or without a login."""

import asyncio
import base64
import contextlib
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

READ = 1 << 16


@dataclass
class Proxy:
    """Whatever host it is asked for, it connects to `target`, a port of loopback.

    `asked`: (how, host and port) of each connection. `login`: what is demanded, `user:password`.
    """

    target: int
    login: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(1)
            begin = {b"\x05": self._socks5, b"\x04": self._socks4}.get(first)
            sent = b""
            if begin is None:
                sent = await self._http(first, reader, writer)
            elif not await begin(reader, writer):
                sent = b"end"
            if sent != b"end":
                await self._pass_on(sent, reader, writer)
        writer.close()

    async def _http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """What the target gets of the head; `end` when it is refused."""
        head = first + await reader.readuntil(b"\r\n\r\n")
        method, url, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        self.asked.append((method, url))
        login = base64.b64encode(self.login.encode())
        if self.login and b"basic " + login.lower() not in head.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return b"end"
        if method != "CONNECT":
            return head
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return b""

    async def _socks5(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """RFC 1928, RFC 1929."""
        await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\x05\x02" if self.login else b"\x05\x00")
        if self.login:
            _, length = await reader.readexactly(2)
            user = await reader.readexactly(length)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            fits = f"{user.decode()}:{password.decode()}" == self.login
            writer.write(b"\x01\x00" if fits else b"\x01\x01")
            if not fits:
                return False
        kind = (await reader.readexactly(4))[3]
        host = (
            await reader.readexactly((await reader.readexactly(1))[0]) if kind == 3 else await reader.readexactly(4)
        )  # a name, or the four bytes of an address
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        self.asked.append(("SOCKS5", f"{host.decode() if kind == 3 else '.'.join(map(str, host))}:{port}"))
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        return True

    async def _socks4(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """SOCKS4a: the name comes after the user."""
        _, port, _ = struct.unpack("!BHI", await reader.readexactly(7))
        await reader.readuntil(b"\x00")
        host = (await reader.readuntil(b"\x00"))[:-1].decode()
        self.asked.append(("SOCKS4", f"{host}:{port}"))
        writer.write(b"\x00\x5a\x00\x00\x00\x00\x00\x00")
        return True

    async def _pass_on(self, sent: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        far_writer.write(sent)
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(READ):
            writer.write(piece)
            await writer.drain()
    writer.close()

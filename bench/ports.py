"""Ports of loopback for servers that are about to be started."""

import collections
import itertools
import os
import random
import socket

# Below the ports that systems take for clients' connections (Linux: from 32768, others higher):
# none of those can take a port between here and its server's start.
_FIRST, _END = 20_000, 32_000
_KEPT = 64

_NUMBERS = itertools.cycle(random.sample(range(_FIRST, _END), _END - _FIRST))
_HELD: collections.deque[int] = collections.deque()  # file descriptors; the process's end closes them


def free_port() -> int:
    """A TCP port nobody listens on. The last 64 given are given to no other process that asks here.

    A UDP socket of the same number stands for that: a second process cannot bind it.
    """
    for port in itertools.islice(_NUMBERS, _END - _FIRST):
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        _HELD.append(mark.detach())
        if len(_HELD) > _KEPT:
            os.close(_HELD.popleft())
        return port
    raise OSError(f"no port between {_FIRST} and {_END} is free")

"""Python programs that a test starts, reads a line from, and kills."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def a_process(program: str, folder: Path) -> Iterator[IO[str]]:
    """`program` runs with `folder` as its argument; gives its output. It is killed -9 at the end."""
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()

"""The secret that signs logins: a file that only its owner can read (protocol reference 1.3)."""

import os
import secrets
import shlex
import stat
from pathlib import Path

from stilton.domain.errors import SetupError

MIN_BYTES = 32
MIN_DIFFERENT = 6
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def read(path: Path) -> bytes:
    """The secret in the file at `path`. Raises SetupError, with what to do about it."""
    path = path.expanduser()
    try:
        mode, folder_mode = path.stat().st_mode, path.parent.stat().st_mode
        if mode & _OTHERS:
            raise SetupError(f"The secret file {path} can be read or written by others. Run: chmod 600 {_quoted(path)}")
        if folder_mode & _OTHERS_WRITE and not folder_mode & stat.S_ISVTX:
            raise SetupError(
                f"Others can write to the folder of the secret file. Run: chmod go-w {_quoted(path.parent)}"
            )
        secret = path.read_bytes()
    except OSError as error:
        advice = f"devpi-gen-secret --secretfile {_quoted(path)} makes one."
        if isinstance(error, PermissionError):
            advice = "It belongs to the user who runs the server: chown it to that one."
        raise SetupError(f"The secret file {path} cannot be read: {error.strerror}. {advice}") from error
    if len(secret) < MIN_BYTES or len(set(secret)) < MIN_DIFFERENT:
        raise SetupError(
            f"The secret in {path} is too weak: at least {MIN_BYTES} bytes, {MIN_DIFFERENT} of them different. "
            f"devpi-gen-secret makes a good one."
        )
    return secret


def create(path: Path) -> None:
    """Write a new secret. Raises SetupError when there is a file already, or the folder is not safe."""
    path = path.expanduser()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SetupError(f"{path} exists already. Remove it first; all logins end with it.") from None
    except OSError as error:
        raise SetupError(f"The secret file {path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_urlsafe(48).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _quoted(path: Path) -> str:
    """For a command that people copy."""
    return shlex.quote(str(path))

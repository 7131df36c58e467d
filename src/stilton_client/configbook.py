"""Write configuration files, and remember how to give them back.

    <clientdir>/configfiles-1/<digest of the path>.json    one record for each file we changed
        tool, path       which file
        original         its bytes in Base64 before us; null: there was no file
        mode             its permission bits before us; null: there was no file
        backup           digest of the `<name>-bak` beside it; null: we made none
        written          what we wrote: digest of the bytes, and the settings

The record is on disk before the file is changed. So whatever happens between, a file is always one of:

    as `original`                        nothing to do
    with the digest of a `written`       it becomes `original`, byte for byte
    anything else: a person edited it    our settings become what they were; all else stays
"""

import base64
import contextlib
import enum
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stilton_client.configfiles import ConfigError, Settings, Target, read, unusable

_FOLDER = "configfiles-1"
_PRIVATE = 0o600
_WRITABLE = 0o222


@dataclass(frozen=True)
class Applied:
    """A file that now names the index; `changed` is False where it did already."""

    path: Path
    changed: bool
    backup: Path | None = None  # if it was made just now


class Outcome(enum.Enum):
    """What became of a file we had changed."""

    RESTORED = "restored"  # the bytes it had before us
    REMOVED = "removed"  # it had not existed before us
    UNPICKED = "unpicked"  # somebody edited it since: only our settings were taken out
    GONE = "gone"  # somebody deleted it since
    FAILED = "failed"  # see the error; it will be tried again next time


@dataclass(frozen=True)
class Restored:
    """One file of `Book.restore`."""

    path: Path
    outcome: Outcome
    error: ConfigError | None = None


@dataclass(frozen=True)
class _Written:
    digest: str
    settings: Settings


@dataclass(frozen=True)
class _Record:
    tool: str
    path: Path
    original: bytes | None
    mode: int | None
    backup: str | None = None
    written: tuple[_Written, ...] = ()

    def wrote(self, content: bytes) -> bool:
        digest = _digest(content)
        return content == self.original or any(digest == one.digest for one in self.written)

    @property
    def backup_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}-bak")

    def mode_before(self, now: int | None) -> int | None:
        """The mode to go back to: the one before us, unless somebody else changed it since."""
        return self.mode if self.mode is not None and now == self.mode & _PRIVATE else now


class Book:
    """The records of one client folder."""

    def __init__(self, clientdir: Path) -> None:
        self._folder = clientdir / _FOLDER

    def apply(self, target: Target, settings: Settings) -> Applied:
        """Make the tool use the index. Raises ConfigError; then nothing was changed."""
        content, mode = read(target.path), _mode(target.path)
        known = self._load(self._place(target.path))
        record = _origin(target, known, content, mode)
        new = target.applied(record.original or b"", settings)
        wanted = _wanted_mode(record.mode, settings)
        if new == content and mode == (mode if wanted is None else wanted):
            return Applied(target.path, changed=False)
        _must_be_writable(target.path)
        fresh = record.original is not None and not os.path.lexists(record.backup_path)
        if fresh:
            record = replace(record, backup=_digest(record.original or b""))
        entry = _Written(_digest(new), settings)
        self._keep(replace(record, written=(*record.written, entry)))
        try:
            if fresh:
                _write(record.backup_path, record.original or b"", record.mode)
            _write(target.path, new, wanted)
        except ConfigError:
            self._roll_back(record, known, fresh=fresh)
            raise
        # Without this the record says more than it needs, which does no harm.
        with contextlib.suppress(ConfigError):
            self._keep(replace(record, written=(entry,)))
        return Applied(target.path, changed=True, backup=record.backup_path if fresh else None)

    def restore(self) -> list[Restored]:
        """Give back all files; what cannot be given back is in the answer, and stays recorded."""
        return [self._restored(place) for place in self._places()]

    def _restored(self, place: Path) -> Restored:
        path = place
        try:
            record = self._load(place)
            if record is None:
                return Restored(path, Outcome.GONE)
            path = record.path
            outcome = _give_back(record)
            _remove(place)
        except ConfigError as error:
            return Restored(path, Outcome.FAILED, error)
        return Restored(path, outcome)

    def _roll_back(self, record: _Record, known: _Record | None, *, fresh: bool) -> None:
        if fresh:
            _remove(record.backup_path)
        if known is None:
            _remove(self._place(record.path))
        else:
            self._keep(known)

    def _place(self, path: Path) -> Path:
        return self._folder / f"{_digest(os.fsencode(path))[:32]}.json"

    def _places(self) -> Iterator[Path]:
        yield from sorted(self._folder.glob("*.json"))

    def _keep(self, record: _Record) -> None:
        place = self._place(record.path)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(self._folder, error, "made") from error
        _write(place, _packed(record), _PRIVATE)

    def _load(self, place: Path) -> _Record | None:
        content = read(place)
        try:
            return None if content is None else _unpacked(json.loads(content))
        except (ValueError, KeyError, TypeError) as error:
            advice = "Compare your configuration files with their -bak files by hand, then delete this record."
            raise ConfigError(place, "it is not a record of this program", advice) from error


# Deciding: a record and what is on disk now.


def _origin(target: Target, known: _Record | None, content: bytes | None, mode: int | None) -> _Record:
    """What `restore` is to give back: the file before us, with what people changed in it since."""
    if known is None or content is None:
        return _Record(target.tool, target.path, content, mode)
    if known.wrote(content):
        return replace(known, mode=known.mode_before(mode))
    base = _unpicked(known, content)
    return replace(known, original=base, mode=None if base is None else known.mode_before(mode))


def _unpicked(record: _Record, content: bytes) -> bytes | None:
    """The file that a person edited after us, without our settings; None: nothing else was in it."""
    settings = [one.settings for one in record.written]
    left = Target(record.tool, record.path).undone(content, record.original or b"", settings)
    return None if record.original is None and not left.strip() else left


def _wanted_mode(mode: int | None, settings: Settings) -> int | None:
    """The mode to write with; None: what the umask gives a new file."""
    if not settings.secret:
        return mode
    return _PRIVATE if mode is None else mode & _PRIVATE


def _give_back(record: _Record) -> Outcome:
    content, mode = read(record.path), _mode(record.path)
    if content is None:
        return Outcome.GONE
    _must_be_writable(record.path)
    if not record.wrote(content):
        _put(record.path, _unpicked(record, content), record.mode_before(mode))
        return Outcome.UNPICKED
    _put(record.path, record.original, record.mode_before(mode))
    backup = read(record.backup_path)
    if backup is not None and _digest(backup) == record.backup:
        _remove(record.backup_path)
    return Outcome.REMOVED if record.original is None else Outcome.RESTORED


# Records as JSON.


def _packed(record: _Record) -> bytes:
    original = None if record.original is None else base64.b64encode(record.original).decode()
    form = {
        "tool": record.tool,
        "path": os.fsencode(record.path).decode(errors="surrogateescape"),
        "original": original,
        "mode": record.mode,
        "backup": record.backup,
        "written": [{"digest": one.digest, "settings": asdict(one.settings)} for one in record.written],
    }
    return json.dumps(form, indent=1).encode()


def _unpacked(form: Any) -> _Record:  # noqa: ANN401 -- JSON enters here
    original = form["original"]
    return _Record(
        tool=form["tool"],
        path=Path(form["path"]),
        original=None if original is None else base64.b64decode(original),
        mode=form["mode"],
        backup=form["backup"],
        written=tuple(_Written(one["digest"], Settings(**one["settings"])) for one in form["written"]),
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# Files.


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def _must_be_writable(path: Path) -> None:
    """Renaming over a file needs no right to write it: who made it read-only wants to be asked."""
    mode = _mode(path)
    if mode is not None and (not mode & _WRITABLE or not os.access(path, os.W_OK)):
        raise ConfigError(path, "it is read-only", "Make it writable, or make the setting in it by hand.")


def _put(path: Path, content: bytes | None, mode: int | None) -> None:
    if content is None:
        _remove(path)
    else:
        _write(path, content, mode)


def _write(path: Path, content: bytes, mode: int | None) -> None:
    """Replace a file in one step, or make it; a symbolic link stays and its target is replaced."""
    try:
        real = path.resolve()
        real.parent.mkdir(parents=True, exist_ok=True)
        spare = real.with_name(f".{real.name}.{secrets.token_hex(8)}")
        # The umask narrows a new file's mode; an existing one gets the mode that it had.
        number = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else _PRIVATE)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                spare.chmod(mode)
            spare.replace(real)
        except BaseException:
            spare.unlink(missing_ok=True)
            raise
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of symbolic links
        raise unusable(path, error, "written") from error


def _remove(path: Path) -> None:
    """Delete a file, behind its symbolic link if it is one."""
    try:
        path.resolve().unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        raise unusable(path, error, "removed") from error

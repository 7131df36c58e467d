"""`devpi-backup` and `devpi-restore`."""

import contextlib
import errno
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from stilton.cli.options import CONTEXT, configfile_option, options, run, settled, version
from stilton.cli.progress import Teller
from stilton.db import migrate
from stilton.domain.errors import SetupError, StorageFull, StorageTrouble
from stilton.serverdir import ServerDir
from stilton.upkeep import apart
from stilton.upkeep import backup as making
from stilton.upkeep import restore as restoring
from stilton.upkeep import vault as vaults
from stilton.upkeep.vault import Manifest, Snapshot, Vault

FOLDER = click.Path(path_type=Path)
_NOT_FOR_US = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EROFS)
"""What running it again does not help against."""
_AGAIN = "Run it again: it goes on."


@click.command(
    context_settings=CONTEXT,
    epilog="Example: devpi-backup --serverdir /srv/devpi --keep 14 /mnt/backup/devpi",
)
@configfile_option
@options("serverdir", "storage")
@click.option("--mirrors", is_flag=True, help="also the mirrors' files, which can be fetched again")
@click.option("--copy", is_flag=True, help="copy files that could be hard-linked, so that each has its bytes twice")
@click.option("--keep", type=click.IntRange(1), metavar="N", help="then remove all but the newest N complete snapshots")
@click.option("--verify", is_flag=True, help="back up nothing: check every byte of the backups in DIR")
@click.argument("folder", metavar="DIR", type=FOLDER)
@version
def backup(configfile: str | None, folder: Path, *, verify: bool, **flags: Any) -> None:  # noqa: ANN401
    """Back up a server, running or not, into DIR. Files that are in DIR from before are not copied again."""

    def work() -> None:
        # What is made is for its owner alone: password hashes are in it.
        os.umask(0o077)
        wish = making.Wish(mirrors=flags["mirrors"], copy=flags["copy"])
        if verify and (flags["keep"] is not None or wish != making.Wish()):
            raise SetupError("--verify backs up nothing and removes nothing: leave out --mirrors, --copy and --keep.")
        with _in_words(folder):
            if verify:
                _verify(folder.absolute())
                return
            settings = settled(configfile, flags)
            _back_up(ServerDir(settings.serverdir), Vault(folder.absolute()), wish, flags["keep"])

    run(work)


@click.command(
    context_settings=CONTEXT,
    epilog="Example: devpi-restore /mnt/backup/devpi --serverdir /srv/devpi",
)
@configfile_option
@options("serverdir", "storage")
@click.option("--hard-links", is_flag=True, help="link files instead of copying them; then they share their bytes")
@click.option("--new-uuid", is_flag=True, help="become another server, if the one that was backed up goes on")
@click.option("--incomplete", is_flag=True, help="take what there is, if files are missing or damaged")
@click.argument("folder", metavar="DIR[/SNAPSHOT]", type=FOLDER)
@version
def restore(configfile: str | None, folder: Path, **flags: Any) -> None:  # noqa: ANN401
    """Make a new --serverdir out of a backup: the newest complete snapshot in DIR, or that one."""

    def work() -> None:
        settings = settled(configfile, flags)
        wish = restoring.Wish(
            hard_links=flags["hard_links"], new_uuid=flags["new_uuid"], incomplete=flags["incomplete"]
        )
        with _in_words(settings.serverdir):
            _restore(folder.absolute(), ServerDir(settings.serverdir), wish)

    run(work)


def _back_up(place: ServerDir, vault: Vault, wish: making.Wish, keep: int | None) -> None:
    apart.check_backup(vault.path, place.path)
    uuid = _uuid(place)
    vault.create()
    vault.lock()
    source = making.Source(place.database, place.blobs, uuid)
    made = making.make(source, vault, wish, now=time.time, telling=Teller())
    manifest = made.snapshot.manifest
    click.echo(f"backed up to: {made.snapshot.path}")
    click.echo(f"{_contents(manifest)}; new here: {made.linked:,} linked, {made.copied:,} copied")
    _say_left(made)
    if made.linked:
        click.echo("linked files share their bytes with the server: copy DIR to another disk, or use --copy")
    if keep is not None:
        gone = making.prune(vault, keep)
        click.echo(f"removed {gone.snapshots:,} older snapshots, {gone.blobs:,} files ({_size(gone.bytes)})")
    if manifest.missing:
        raise SetupError(
            f"{len(manifest.missing):,} files that the database names are missing or damaged on the server: "
            "devpi-fsck names them. All others are backed up; the snapshot counts as incomplete."
        )


def _uuid(place: ServerDir) -> str:
    """Of a server whose data this program can read; older data too: its backup comes before its migration."""
    place.check_data()
    migrate.readable(place.database)
    return place.uuid()


def _say_left(made: making.Made) -> None:
    count, size = made.left
    if count:
        click.echo(f"not in it: {count:,} files of mirrors ({_size(size)}), to be fetched again; --mirrors takes them")


def _verify(folder: Path) -> None:
    vault, name = vaults.at(folder)
    wanted: Sequence[Snapshot] = vault.snapshots() if name is None else [restoring.chosen(vault, name)]
    found = restoring.verify(vault, wanted, Teller())
    for path in found.wrong:
        click.echo(f"missing or damaged: {path}")
    if found.wrong:
        raise SetupError(
            f"{len(found.wrong):,} files of {vault.path} are not as they were written. Remove the damaged ones: "
            "the next devpi-backup takes them from the server again. And look after the disk."
        )
    if not found.snapshots:
        raise SetupError(f"{vault.path} has no snapshot yet.")
    click.echo(f"{found.snapshots:,} snapshots, {found.blobs:,} files: every byte is as it was written")


def _restore(folder: Path, place: ServerDir, wish: restoring.Wish) -> None:
    vault, name = vaults.at(folder)
    snapshot = restoring.chosen(vault, name)
    restoring.check(vault, snapshot, place, wish)
    telling = Teller()
    for manifest in vault.unreadable():
        telling.notice(f"{manifest} is damaged, or a newer stilton's: its snapshot was not thought of.")
    click.echo(f"restoring {snapshot.path} to {place.path}: {_contents(snapshot.manifest)}")
    uuid = restoring.restore(vault, snapshot, place, wish, telling)
    click.echo(f"uuid: {uuid}")
    older = " --migrate" if snapshot.manifest.schema != migrate.HEAD else ""
    click.echo(f"start it with: devpi-server --serverdir {shlex.quote(str(place.path))}{older}")


@contextlib.contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """What the disk of `folder`, which is written to, answers inside. Raises SetupError."""
    try:
        yield
    except StorageFull as error:
        raise SetupError(f"No space left in {folder}. Make room and run it again: it goes on.") from error
    except StorageTrouble as error:
        raise SetupError(f"The disk of {folder} did not take {error.what}: {error.why}. {_AGAIN}") from error
    except OSError as error:
        advice = "Name a folder that this user can use." if error.errno in _NOT_FOR_US else _AGAIN
        raise SetupError(f"{error.filename or folder}: {error.strerror}. {advice}") from error


def _contents(manifest: Manifest) -> str:
    return f"{manifest.blobs:,} files, {_size(manifest.bytes)}, and a database of {_size(manifest.database_bytes)}"


def _size(size_bytes: int) -> str:
    units = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
    return next((f"{size_bytes / by:.1f} {unit}" for unit, by in units if size_bytes >= by), f"{size_bytes} bytes")

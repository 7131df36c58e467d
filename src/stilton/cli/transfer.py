"""`devpi-import` and `devpi-export`: a server's data moved in and out, in devpi's own format.

Without --index a dump becomes a new server; with it a folder of release files is added to an index
of one that is there.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stilton.cli.options import CONTEXT, configfile_option, first_data_option, options, run, settled, version
from stilton.domain.errors import SetupError, StorageFull, StorageTrouble

if TYPE_CHECKING:
    from stilton.db.database import Transaction

LAYOUTS = ("plain", "pypiserver", "bandersnatch")
_folder = click.Path(path_type=Path)


@click.command("devpi-import", context_settings=CONTEXT, epilog=(
    "Examples: devpi-import --serverdir /srv/new DUMP; "
    "devpi-import --serverdir /srv/devpi --index team/dev --create /srv/pypiserver/packages"
))  # fmt: skip
@configfile_option
@options("serverdir", "storage", "keyfs-cache-size")
@first_data_option("no-root-pypi", is_flag=True, help="do not create the index root/pypi when the dump has none")
@first_data_option("root-passwd", default="", help="password of user root when the dump has none  [empty]")
@first_data_option("root-passwd-hash", help="argon2 hash of it")
@click.option("--skip-import-type", multiple=True, metavar="TYPE", help="leave out indexes of this type")
@click.option("--no-events", is_flag=True, help="accepted for devpi's sake; nothing is put off here")
@click.option(
    "--hard-links", is_flag=True, help="link files to the dump's in place of copying; never change those then"
)
@click.option("--keep-going", is_flag=True, help="leave out files that are damaged or missing, list them at the end")
@click.option("--index", metavar="USER/NAME", help="add the release files in FOLDER to this index of a stopped server")
@click.option("--create", is_flag=True, help="make the --index if it is not there")
@click.option("--layout", type=click.Choice(LAYOUTS), help="of FOLDER  [found out]")
@click.argument("folder", type=_folder)
@version
def import_(configfile: str | None, folder: Path, **flags: Any) -> None:  # noqa: ANN401
    """Make a new server of the dump in FOLDER, or add a folder of release files to an --index."""

    def work() -> None:
        if flags["index"] is None and (flags["create"] or flags["layout"]):
            raise SetupError("--create and --layout go with --index USER/NAME, for a folder of release files.")
        settings = settled(configfile, flags)
        left_out = (_dump if flags["index"] is None else _release_files)(settings.serverdir, folder, flags)
        if left_out:
            listed = "\n".join(f"  {text}" for text in left_out)
            raise SetupError(f"{len(left_out)} could not be imported, everything else was:\n{listed}")

    run(lambda: _said(work, "the server's disk", "what is there is not copied again"))


@click.command(
    "devpi-export", context_settings=CONTEXT, epilog="Example: devpi-export --serverdir /srv/devpi /backup/dump"
)
@configfile_option
@options("serverdir", "storage", "keyfs-cache-size")
@click.option("--include-mirrored-files", is_flag=True, help="also what mirrors hold")
@click.option("--hard-links", is_flag=True, help="link files in place of copying; never change those then")
@click.argument("folder", type=_folder, metavar="DIR")
@version
def export(configfile: str | None, folder: Path, **flags: Any) -> None:  # noqa: ANN401
    """Write the server's data to DIR, for devpi-import of this program or of devpi. The server may run meanwhile."""

    def work() -> None:
        from stilton.cli.progress import Teller  # noqa: PLC0415
        from stilton.upkeep import exports  # noqa: PLC0415 - commands that fail early start without it

        settings = settled(configfile, flags)
        exports.export(
            settings.serverdir, folder, mirrored=flags["include_mirrored_files"], link=flags["hard_links"],
            tell=Teller(),
        )  # fmt: skip

    run(lambda: _said(work, f"the disk of {folder}", "what is there and whole is not copied again"))


def _said(work: Callable[[], None], disk: str, again: str) -> None:
    """A disk that is full, or a person who wants it to stop, is no reason to begin anew. Raises SetupError."""
    try:
        work()
    except StorageTrouble as error:
        what = "Make room" if isinstance(error, StorageFull) else "Make room, or repair that,"
        raise SetupError(
            f"{disk} did not take {error.what}: {error.why}.\n{what} and run the same command again: {again}."
        ) from error
    except KeyboardInterrupt:
        click.echo(f"interrupted; run the same command again to go on: {again}", err=True)
        raise


def _dump(serverdir: Path, folder: Path, flags: dict[str, Any]) -> list[str]:
    """Import a dump; what was left out. Raises SetupError, StorageTrouble."""
    from stilton.accounts import setup  # noqa: PLC0415
    from stilton.cli.progress import Teller  # noqa: PLC0415
    from stilton.upkeep import imports, reading, space  # noqa: PLC0415
    from stilton.upkeep.dump import INDEX_NAME  # noqa: PLC0415
    from stilton.upkeep.staging import Staging  # noqa: PLC0415

    tell = Teller()
    staging = Staging(serverdir)
    staging.check_new()
    first_rows = _first_rows(flags)
    try:
        text = reading.text(folder)
        staging.expect(reading.identity(text))
        tell.line(f"reading json: {folder / INDEX_NAME}")
        source = reading.read(folder, text)
        # It may be a gigabyte, and the import takes hours.
        del text
        wanted = imports.plan(
            source, setup.bounded_hash,
            skipped=frozenset(flags["skip_import_type"]), keep_going=flags["keep_going"], tell=tell,
        )  # fmt: skip
        if not flags["hard_links"]:
            space.check(serverdir, imports.needed_bytes(wanted, staging.place.blobs))
        engine = staging.open([partial(imports.begin, wanted=wanted), first_rows], now=time.time)
        if staging.resumed:
            tell.notice("an import of this dump was interrupted: going on with it")
        try:
            work = imports.Import(
                wanted, engine, staging.place.blobs, link=flags["hard_links"], tell=tell, now=time.time
            )
            left_out, serial = work.run(), work.last_serial()
        finally:
            engine.dispose()
        staging.finish()
    finally:
        staging.close()
    tell.line("********* import_all: importing finished ***********")
    tell.line(f"wait_for_events: importing finished; latest_serial={serial}")
    return left_out


def _first_rows(flags: dict[str, Any]) -> "Callable[[Transaction], None]":
    """What `devpi-init` makes; the dump's root and root/pypi replace it. Raises SetupError."""
    from stilton.accounts import passwords, setup  # noqa: PLC0415

    given = flags["root_passwd_hash"]
    pwhash = setup.checked_hash(given) if given is not None else passwords.hashed(flags["root_passwd"])
    keys = None if flags["no_root_pypi"] else setup.pypi_keys(None)

    def fill(tx: "Transaction") -> None:
        setup.first_user(tx, pwhash, now=time.time())
        if keys is not None:
            setup.first_index(tx, keys)

    return fill


def _release_files(serverdir: Path, folder: Path, flags: dict[str, Any]) -> list[str]:
    """Add a folder of release files to an index; what was left out. Raises SetupError, StorageTrouble."""
    from stilton.cli.progress import Teller  # noqa: PLC0415
    from stilton.db.database import connect  # noqa: PLC0415
    from stilton.serverdir import ServerDir  # noqa: PLC0415
    from stilton.upkeep import folders, intake  # noqa: PLC0415

    found = folders.look(folder, flags["layout"])
    place = ServerDir(serverdir)
    place.open()
    engine = connect(place.database)
    try:
        stage = intake.open_index(engine, flags["index"], create=flags["create"], now=time.time)
        work = intake.Intake(stage, engine, place.blobs, link=flags["hard_links"], tell=Teller(), now=time.time)
        return work.run(found)
    finally:
        engine.dispose()
        place.unlock()

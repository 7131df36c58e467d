"""`python -m bench`: measure, print the table. Exit status 1 when a case could not be measured.

Bounded in time: when it is up, what has been measured is printed and everything is ended.
"""

import argparse
import contextlib
import dataclasses
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from bench import devpi, lab, machine, report
from bench.cases import CASES
from bench.lab import Lab
from bench.nginx import Nginx
from bench.processes import BenchError
from bench.report import Row
from bench.server import Build

FULL_WITHIN_S = 480
QUICK_WITHIN_S = 180
DEVPI_WITHIN_S = 120
_DEFAULT_WORK = Path(__file__).parent.parent / ".bench"


class TimeIsUp(BaseException):
    """The run has taken as long as it may."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the cases asked for; the exit status."""
    options = _options(arguments)
    begun = time.monotonic()
    rows: list[Row] = []
    told: dict[str, str] = {}
    watch = machine.Watch()
    build = Build(options.bin)
    with _bounded((QUICK_WITHIN_S if options.quick else FULL_WITHIN_S) + DEVPI_WITHIN_S * options.vs_devpi):
        try:
            version = build.version()
            with lab.opened(options.work.resolve(), lab.QUICK if options.quick else lab.Effort(), build) as place:
                told |= {"devpi-server": version, **machine.described(), "upstream": _upstream(place)}
                _measure(place, options.case or list(CASES), rows)
                if options.vs_devpi:
                    _collect("devpi", devpi.compare(place, options.work.resolve()), rows)
        except BenchError as error:
            _tell(f"bench: {error}")
            return 2
        except TimeIsUp:
            rows.append(report.failed("the rest", "the time for a whole run was up"))
        except KeyboardInterrupt:
            _tell("bench: interrupted; everything started was ended")
            return 130
    told["used by others meanwhile"] = f"{watch.others_share() or 0:.0%}"
    _print(told, rows, taken_s=time.monotonic() - begun)
    if options.json:
        options.json.write_text(json.dumps({"machine": told, "rows": report.record(rows)}, indent=1) + "\n")
    return int(any(row.measured.startswith("not measured") for row in rows))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure the server against nginx, uv and sha256sum."
    )
    parser.add_argument("--case", action="append", choices=list(CASES), help="measure only this; may be repeated")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds; within 3 minutes in place of 8")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there too")
    parser.add_argument(
        "--work", type=Path, default=_DEFAULT_WORK, metavar="DIR", help="scratch folder, 1 GB  [.bench]"
    )
    beside = Path(sys.executable).parent
    parser.add_argument(
        "--bin",
        type=Path,
        default=beside,
        metavar="DIR",
        help="where devpi-server and devpi-init are  [beside this Python]",
    )
    parser.add_argument(
        "--vs-devpi", action="store_true", help="install devpi-server 6 from the package index and measure it too"
    )
    return parser.parse_args(arguments)


def _measure(place: Lab, names: Sequence[str], rows: list[Row]) -> None:
    for name in names:
        _tell(f"{time.strftime('%H:%M:%S')} measuring {name} ...")
        _collect(name, CASES[name](place), rows)


def _collect(name: str, found: Iterator[Row], rows: list[Row]) -> None:
    """One case that fails is told and leaves the others alone."""
    watch, share = machine.Watch(), 0.0
    try:
        for row in found:
            # Rows of one measurement come together: they share what was seen.
            share = watch.others_share() or share
            watch = machine.Watch()
            _tell(f"  {row.case}: {row.measured}")
            rows.append(dataclasses.replace(row, others=share))
    except (BenchError, OSError) as error:
        _tell(f"  {error}")
        rows.append(report.failed(name, str(error)))


@contextlib.contextmanager
def _bounded(seconds: int) -> Iterator[None]:
    """Raise TimeIsUp in the block after that long; SIGTERM is as good as Ctrl-C."""

    def ring(number: int, frame: FrameType | None) -> None:
        del frame
        raise TimeIsUp if number == signal.SIGALRM else KeyboardInterrupt

    # A shell that starts us in the background has SIGINT ignored; we still want to hear it.
    before = {number: signal.signal(number, ring) for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)}
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _upstream(place: Lab) -> str:
    site = place.upstream
    return f"nginx {site.version}" if isinstance(site, Nginx) else place.without_nginx


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(told: dict[str, str], rows: Sequence[Row], *, taken_s: float) -> None:
    facts = "; ".join(f"{name}: {value}" for name, value in told.items())
    print(f"Measured in {taken_s:.0f} s. {facts}.\n")
    print(report.markdown(rows))
    if any(row.others > report.DISTURBED_SHARE for row in rows):
        print(
            "\ndisturbed: so much of the machine was used by other processes meanwhile; measure again when it is quiet."
        )


if __name__ == "__main__":
    sys.exit(main())

"""Rows of the result and how they are printed. Pure: numbers in, text out."""

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# Spelled by name: linters take the sign itself for a letter.
TIMES = "\N{MULTIPLICATION SIGN}"
# Above this share of the machine used by others, a figure is told to be doubtful.
DISTURBED_SHARE = 0.1
_HEADINGS = ("case", "measured", "target", "baseline", "stilton", "CPU of stilton", "reached?")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `reached` is None where there is no target or nothing was measured.

    `others`: the part of the machine that other processes used meanwhile, 0 to 1.
    """

    case: str
    target: str = ""
    measured: str = "-"
    baseline: str = ""
    stilton: str = ""
    cpu: str = ""
    reached: bool | None = None
    others: float = 0.0
    raw: dict[str, float | list[float]] = field(default_factory=dict)


def at_least(
    case: str, limit: float | None, *, baseline: Sequence[float], stilton: Sequence[float], cpu: str, unit: str
) -> Row:
    """Both are rates; the ratio of the medians must not be less than the limit, if there is one."""
    low, own = statistics.median(baseline), statistics.median(stilton)
    return Row(
        case=case, target="" if limit is None else f"≥ {limit:g} {TIMES} nginx",
        measured=f"{own / low:.3g} {TIMES}", reached=None if limit is None else own / low >= limit,
        baseline=f"{low:,.0f} {unit}", stilton=f"{own:,.0f} {unit}", cpu=cpu,
        raw={"ratio": own / low, "baseline": list(baseline), "stilton": list(stilton)},
    )  # fmt: skip


def at_most(case: str, limit: float, *, of: str, baseline: Sequence[float], stilton: Sequence[float], cpu: str) -> Row:
    """Both are seconds; the ratio of the medians must not be more than the limit."""
    low, own = statistics.median(baseline), statistics.median(stilton)
    return Row(
        case=case, target=f"≤ {limit:g} {TIMES} {of}", measured=f"{own / low:.2f} {TIMES}", reached=own / low <= limit,
        baseline=f"{low:.2f} s", stilton=f"{own:.2f} s", cpu=cpu,
        raw={"ratio": own / low, "baseline": list(baseline), "stilton": list(stilton)},
    )  # fmt: skip


def within(case: str, limit: float, *, value: float, unit: str, baseline: str = "", cpu: str = "") -> Row:
    """One figure that must not be more than the limit."""
    return Row(
        case=case, target=f"≤ {limit:g} {unit}", measured=f"{value:,.3g} {unit}", reached=value <= limit,
        baseline=baseline, stilton=f"{value:,.3g} {unit}", cpu=cpu, raw={"value": value},
    )  # fmt: skip


def failed(case: str, reason: str) -> Row:
    """A case that could not be measured."""
    return Row(case=case, measured=f"not measured: {reason}")


def per_request(cpu_s: float, requests: int) -> str:
    """Processor time of one request."""
    return f"{cpu_s / requests * 1000:.3f} ms/request" if requests else ""


def per_gigabyte(cpu_s: float, size_bytes: int) -> str:
    """Processor time of 10⁹ bytes."""
    return f"{cpu_s / size_bytes * 1e9:.2f} s/GB" if size_bytes else ""


def markdown(rows: Iterable[Row]) -> str:
    """The table."""
    lines = [_HEADINGS, ("---",) * len(_HEADINGS), *map(_cells, rows)]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def record(rows: Iterable[Row]) -> list[dict[str, object]]:
    """The same for machines; `raw` has each round's figure."""
    return [dataclasses.asdict(row) for row in rows]


def _cells(row: Row) -> tuple[str, ...]:
    reached = {True: "yes", False: "no", None: "-"}[row.reached]
    if row.others > DISTURBED_SHARE:
        reached += f" (disturbed: {row.others:.0%})"
    return (row.case, row.measured, row.target, row.baseline, row.stilton, row.cpu, reached)

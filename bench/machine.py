"""The machine, and how much of it others used meanwhile: a figure taken on a busy machine says little."""

import contextlib
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

from bench import processes

# Processor time is counted in steps of 10 ms.
_TELLING_S = 0.5
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _busy_s() -> float:
    """Processor time used by everything since boot, time taken by the hypervisor included."""
    user, nice, system, _idle, _wait, irq, soft, steal = _first_line()[:8]
    return (user + nice + system + irq + soft + steal) / _TICKS_PER_S


def _total_s() -> float:
    return sum(_first_line()[:8]) / _TICKS_PER_S


def _own_s() -> float:
    """Processor time of this process, of those below it that live, and of those it has waited for."""
    waited = os.times()
    return waited.children_user + waited.children_system + processes.cpu_s(os.getpid())


@dataclass
class Watch:
    """Begun when made."""

    _busy: float = field(default_factory=_busy_s)
    _total: float = field(default_factory=_total_s)
    _own: float = field(default_factory=_own_s)

    def others_share(self) -> float | None:
        """Part of the machine, 0 to 1, that was used by processes that are not ours; None if too short to tell."""
        busy, own, total = _busy_s() - self._busy, _own_s() - self._own, _total_s() - self._total
        return max(0.0, busy - own) / total if total > _TELLING_S else None


def described() -> dict[str, str]:
    """What it is."""
    return {"cores": str(os.cpu_count()), "processor": _processor(), "Python": platform.python_version()}


def _processor() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.machine()


def _first_line() -> list[int]:
    return [int(word) for word in Path("/proc/stat").read_text().partition("\n")[0].split()[1:]]

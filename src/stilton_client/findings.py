"""What pip and uv need of an index, and how bad it is to lack it: the table, and the form of what is found. Pure.

    what                        without it                                                    level
    JSON pages (PEP 691, 700)   no versions, sizes, upload times                              warning
    sha256 of every file        nobody knows whether the right bytes arrived                  problem
    metadata files (PEP 658)    whole wheels are fetched only to learn what they need         warning
    upload times (PEP 700)      `uv --exclude-newer`, `pip --uploaded-prior-to` find nothing  warning; problem if set
    ranges                      parts of wheels, broken downloads                             warning
    links to the same server    firewalls, logins, https                                      warning, problem
    304, gzip, Cache-Control    the same page again and again                                 warning

What is there but wrong (a hash, a size, a metadata file) is always a problem. `pagechecks`, `filechecks` and
`toolchecks` decide; `examination` gathers the facts.
"""

import enum
from dataclasses import dataclass

# The first pip that reads JSON pages.
PIP_JSON = "22.2"
NO_TIMES = "The server has to tell when files came: Stilton does, and so does PyPI."


class Level(enum.StrEnum):
    """How bad it is. `INFO` is neither good nor bad: a number, or something that could not be tried."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One sentence about one thing, and what to change."""

    about: str
    level: Level
    says: str
    change: str = ""

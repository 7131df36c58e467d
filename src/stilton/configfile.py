"""The YAML file: which one is read, and what stands in it. What its values mean is not known here (`values`).

Nothing of YAML is carried out: the tree that the parser makes is looked at, as deep as settings go. So no tag makes
an object, and an alias that stands for thousands of others costs nothing.
"""

import contextlib
import difflib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from platformdirs import site_config_dir, user_config_dir

from stilton.domain.errors import SetupError

SECTION = "devpi-server"
MOST_BYTES = 1 << 18
"""More is no configuration; YAML of that size is read in about two seconds."""

_TAG = "tag:yaml.org,2002:"
_TEXTS = frozenset(_TAG + kind for kind in ("str", "int", "float", "timestamp", "value", "merge"))
_NULL, _BOOL = _TAG + "null", _TAG + "bool"


class Entry(msgspec.Struct, frozen=True):
    """A value as it stands in the file: text, bool, None, or a list or mapping of those; and its line, from 1."""

    value: Any
    line: int


class ConfigFile(msgspec.Struct, frozen=True):
    """What stands below `devpi-server:`. `path`: absolute; None when there is no file.

    `is_others`: it has something in it, and no `devpi-server:`.
    """

    path: Path | None = None
    entries: Mapping[str, Entry] = {}
    is_others: bool = False

    @property
    def folder(self) -> Path:
        """Where relative paths in it begin."""
        return Path() if self.path is None else self.path.parent


def found(named: str | None) -> str | None:
    """The file to read: the one named, else the last of the usual places that exists."""
    usual = usual_files()
    return named if named is not None or not usual else usual[-1]


def usual_files() -> list[str]:
    """Those that are there."""
    folders = [site_config_dir("devpi-server", "devpi")]
    with contextlib.suppress(RuntimeError):  # a user without a home, as a container may have
        folders.append(user_config_dir("devpi-server", "devpi"))
    # Not Path.is_file: of a folder that is closed to us it raises, and then there is nothing for us in it.
    return [place for folder in folders if os.path.isfile(place := f"{folder}/devpi-server.yml")]  # noqa: PTH113


def read(named: str | None, known: Collection[str]) -> ConfigFile:
    """The file, if one is named. `known`: names of settings. Raises SetupError."""
    if named is None:
        return ConfigFile()
    if not named.strip():
        raise SetupError("--configfile is empty: it takes a path. Leave it out for the usual one.")
    try:
        path = Path(named).expanduser().absolute()
        tree = _tree(_text(path))
        section = _section(tree, known)
        if section is None:
            return ConfigFile(path, is_others=isinstance(tree, yaml.MappingNode) and tree.value != [])
        return ConfigFile(path, _mapping(section))
    except _UnfitError as unfit:
        raise SetupError(f"Error in config file {str(path)!r}{unfit}.") from None
    except OSError as error:
        raise SetupError(f"The configuration file {named!r} cannot be read: {error.strerror}.") from error
    except RuntimeError as error:  # ~somebody
        raise SetupError(f"The configuration file {named!r} cannot be read: {error}") from error


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name of an option that somebody may have meant who wrote `name`, if there is one."""
    close = difflib.get_close_matches(name.lower().replace("_", "-"), sorted(known), n=1, cutoff=0.7)
    return close[0] if close else None


class _UnfitError(Exception):
    """What is wrong with the file; `line` from 1."""

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(f": {why}" if line is None else f", line {line}: {why}")


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise _UnfitError(f"it has more than {MOST_BYTES >> 10} kB, which is no configuration")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _UnfitError("it is not UTF-8", content.count(b"\n", 0, error.start) + 1) from None


def _tree(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "it is no YAML"
        # "but found another document" is half a sentence.
        why = f"{error.context}, {problem}" if error.context and problem.startswith("but ") else problem
        raise _UnfitError(why, None if mark is None else mark.line + 1) from None
    except yaml.reader.ReaderError as error:
        raise _UnfitError(error.reason, text.count("\n", 0, error.position) + 1) from None
    except RecursionError:
        raise _UnfitError("lists or mappings in one another without end") from None


def _section(root: yaml.Node | None, known: Collection[str]) -> yaml.MappingNode | None:
    """What stands below `devpi-server:`; None when that is not there."""
    if root is None or root.tag == _NULL:
        return None
    if not isinstance(root, yaml.MappingNode):
        raise _UnfitError(f"it takes {SECTION}: with option names and values below", _line(root))
    sections = [node for key, node in _pairs(root, known) if key == SECTION]
    if not sections:
        return None
    section = sections[0]
    if len(sections) > 1:
        raise _UnfitError(f"{SECTION}: is there a second time", _line(sections[1]))
    if section.tag == _NULL:
        return yaml.MappingNode(section.tag, [])
    if not isinstance(section, yaml.MappingNode):
        raise _UnfitError(f"{SECTION} takes a mapping of option names to values", _line(section))
    return section


def _pairs(root: yaml.MappingNode, known: Collection[str]) -> Iterator[tuple[str, yaml.Node]]:
    """What stands at the left margin. Raises _UnfitError for what was meant to stand below, or to be called, ours."""
    names = {key.value: key for key, _ in root.value if isinstance(key, yaml.ScalarNode)}
    for name, key in names.items():
        if name in known:
            raise _UnfitError(f"{name} belongs below {SECTION}:, indented", _line(key))
        if SECTION not in names and nearest(name, [SECTION]) is not None:
            raise _UnfitError(f"{name}: is not known; {SECTION}: would be", _line(key))
    for key, node in root.value:
        yield str(key.value), node


def _mapping(section: yaml.MappingNode) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for key, node in section.value:
        name = key.value
        if not isinstance(key, yaml.ScalarNode) or key.tag not in _TEXTS:
            raise _UnfitError("the name of an option is a text", _line(key))
        if name in entries:
            raise _UnfitError(f"{name} is there a second time, first in line {entries[name].line}", _line(key))
        entries[name] = Entry(_value(node, _line(key)), _line(key))
    return entries


def _value(node: yaml.Node, line: int) -> Any:  # noqa: ANN401 - as YAML has it
    """`line`: of its option. The node may be an alias, and then its own line is that of its anchor."""
    if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
        return [_scalar(part, line) for part in node.value]
    if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
        return {str(key.value): _scalar(part, line) for key, part in node.value}
    return _scalar(node, line)


def _scalar(node: yaml.Node, line: int) -> str | bool | None:
    if not isinstance(node, yaml.ScalarNode):
        raise _UnfitError("lists and mappings do not go so deep", line)
    if node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return str(node.value).lower() in ("yes", "true", "on")
    if node.tag not in _TEXTS:
        raise _UnfitError(f"a value takes no tag like {node.tag.replace(_TAG, '!!')}", line)
    return str(node.value)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1

"""The text of INI files, edited line by line: what is not ours stays as it is, byte for byte.

Lines are read as `configparser` reads them (pip, distutils and, near enough, buildout): a line that is indented
deeper than its option continues the value, also across comments and blank lines. Names of sections are
compared exactly, names of options without case and with `-` equal to `_`, as pip does.

Pure: text in, text out. An edit that would change another option's value is refused (`BrokenText`);
`configparser` itself is the judge. The files on disk are `configbook`'s.
"""

import configparser
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_ENDING = re.compile(r"\r\n|\r|\n")
_LAST_ENDING = re.compile(r"(?:\r\n|\r|\n)\Z")
_HEADER = re.compile(r"\[(?P<name>.+)\]")
_OPTION = re.compile(r"(?P<before>\s*(?P<name>[^=:]*?)\s*[=:][^\S\r\n]*)(?P<value>.*)", re.DOTALL)
_INDENT = re.compile(r"\s*")
_CONTINUED = "    "


class BrokenText(Exception):
    """The text is not what its format says, or cannot be edited safely. `line` counts from 1; None: no one line."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


@dataclass(frozen=True)
class Option:
    """One option of one section; `key` is how we spell it where it is new."""

    section: str
    key: str

    @property
    def name(self) -> str:
        """What spellings of the option have in common."""
        return _normal(self.key)


def value(text: str, option: Option) -> str | None:
    """The option's value, its lines joined by newlines; None where it is not set."""
    found = [line for line in _scan(text) if line.belongs_to(option)]
    starts = [number for number, line in enumerate(found) if line.starts]
    if not starts:
        return None
    first, *more = found[starts[-1] :]
    parts = [first.value, *(line.raw for line in more)]
    return "\n".join(part.strip() for part in parts).strip()


def set_value(text: str, option: Option, new: str) -> str:
    """Give the option this value of one line; the first spelling found in the file is kept."""
    if value(text, option) == new:
        check(text)
        return text
    return _edited(text, option, lambda whole: _placed(whole, option, new))


def put_back(text: str, option: Option, original: str) -> str:
    """Set the option as `original` sets it: its very lines, or not at all."""
    kept = tuple(line.raw for line in _scan(_whole(original)) if line.belongs_to(option))
    if not kept:
        return _edited(text, option, lambda whole: _without(whole, option, original))
    # A first placement makes the section and the line where there is none any more.
    return _edited(text, option, lambda whole: _swapped(_placed(whole, option, "-"), option, kept))


def add_word(text: str, option: Option, word: str) -> str:
    """Add a word to a value that is a list; its other lines are not touched."""
    present = value(text, option)
    if present is None:
        return set_value(text, option, word)
    if word in present.split():
        return text
    return _edited(text, option, lambda whole: _with_word(whole, option, word))


def drop_word(text: str, option: Option, word: str, original: str = "") -> str:
    """Take a word out of a value that is a list; the option goes with its last word."""
    present = value(text, option)
    if present is None or word not in present.split():
        return text
    if set(present.split()) == {word}:
        return _edited(text, option, lambda whole: _without(whole, option, original))
    return _edited(text, option, lambda whole: _without_word(whole, option, word))


def check(text: str) -> None:
    """Raise BrokenText if `configparser` cannot read this."""
    _values(text)


# Lines.


@dataclass(frozen=True)
class _Line:
    raw: str  # with its ending
    section: str | None
    name: str | None = None  # of the option that the line starts or continues; None: header, comment, blank
    starts: bool = False
    header: bool = False

    def belongs_to(self, option: Option) -> bool:
        return self.section == option.section and self.name == option.name

    @property
    def value(self) -> str:
        """What a starting line says after its `=`."""
        match = _OPTION.match(self.raw)
        return match["value"] if match else ""

    @property
    def indent(self) -> str:
        match = _INDENT.match(self.raw)
        return match[0] if match else ""

    @property
    def ending(self) -> str:
        match = _ENDING.search(self.raw)
        return match[0] if match else ""

    @property
    def blank(self) -> bool:
        return not self.raw.strip()


def _scan(text: str) -> Iterator[_Line]:
    section: str | None = None
    name: str | None = None
    depth = 0
    for raw in _LINE.findall(text):
        bare = raw.strip()
        if not bare or bare[0] in "#;":
            yield _Line(raw, section)
            continue
        indent = len(raw) - len(raw.lstrip())
        if name is not None and indent > depth:
            yield _Line(raw, section, name)
            continue
        depth = indent
        if header := _HEADER.match(bare):
            section, name = header["name"], None
            yield _Line(raw, section, header=True)
        else:
            option = _OPTION.match(raw)
            name = _normal(option["name"]) if option else None
            yield _Line(raw, section, name, starts=True)


def _normal(key: str) -> str:
    return key.strip().lower().replace("-", "_").removeprefix("__")


# Edits: lists of lines to text. Every line of these texts has its ending (`_whole`).


def _placed(text: str, option: Option, new: str) -> str:
    lines = list(_scan(text))
    starts = [number for number, line in enumerate(lines) if line.starts and line.belongs_to(option)]
    if starts:
        first = lines[starts[-1]]
        return _joined(lines, starts[-1], option, (_renewed(first, new),))
    return _inserted(lines, option, new)


def _renewed(line: _Line, new: str) -> str:
    match = _OPTION.match(line.raw)
    before = match["before"] if match else ""
    gap = " " if re.search(r"\s[=:]\Z", before) else ""
    return before + gap + new + line.ending


def _joined(lines: Sequence[_Line], at: int, option: Option, new: Sequence[str]) -> str:
    """All lines, but those of the option; `new` stands where line `at` was."""
    kept: list[str] = []
    for number, line in enumerate(lines):
        if number == at:
            kept.extend(new)
        elif not line.belongs_to(option):
            kept.append(line.raw)
    return "".join(kept)


def _inserted(lines: Sequence[_Line], option: Option, new: str) -> str:
    ending = next((line.ending for line in lines), "\n")
    texts = [line.raw for line in lines]
    mine = [number for number, line in enumerate(lines) if line.section == option.section]
    if not mine:
        gap = [ending] if lines else []
        return "".join([*texts, *gap, f"[{option.section}]{ending}", f"{option.key} = {new}{ending}"])
    after = max(number for number in mine if lines[number].header or lines[number].name is not None)
    # An option indented less than the line above it starts; one indented more would continue it. What follows
    # us must not be indented more than we are: a header that is, would become part of our value.
    neighbours = [line for line in lines[: after + 1] if line.section == option.section and line.starts]
    following = [line for line in lines[after + 1 :] if line.header]
    indent = neighbours[-1].indent if neighbours else following[0].indent if following else ""
    texts.insert(after + 1, f"{indent}{option.key} = {new}{ending}")
    return "".join(texts)


def _swapped(text: str, option: Option, kept: Sequence[str]) -> str:
    lines = list(_scan(text))
    at = next(number for number, line in enumerate(lines) if line.belongs_to(option))
    return _joined(lines, at, option, kept)


def _without(text: str, option: Option, original: str) -> str:
    """The text without the option; without its section too if that is bare now and `original` has it not."""
    lines = [line for line in _scan(text) if not line.belongs_to(option)]
    ours = [line for line in lines if line.section == option.section]
    known = any(line.section == option.section for line in _scan(original))
    if known or not all(line.header or line.blank for line in ours):
        return "".join(line.raw for line in lines)
    at = next(number for number, line in enumerate(lines) if line.section == option.section)
    # The blank line above the section came with it.
    before = lines[: at - 1] if at and lines[at - 1].blank else lines[:at]
    rest = [line for line in lines[at:] if not (line.header and line.section == option.section)]
    return "".join(line.raw for line in [*before, *rest])


def _with_word(text: str, option: Option, word: str) -> str:
    lines = list(_scan(text))
    mine = [number for number, line in enumerate(lines) if line.belongs_to(option)]
    last = lines[mine[-1]]
    indent = last.indent + _CONTINUED if last.starts else last.indent
    texts = [line.raw for line in lines]
    texts.insert(mine[-1] + 1, f"{indent}{word}{last.ending}")
    return "".join(texts)


def _without_word(text: str, option: Option, word: str) -> str:
    texts: list[str] = []
    for line in _scan(text):
        if line.belongs_to(option) and word in (words := (line.value if line.starts else line.raw).split()):
            left = " ".join(other for other in words if other != word)
            if line.starts:
                match = _OPTION.match(line.raw)
                texts.append((match["before"] if match else "") + left + line.ending)
            elif left:
                texts.append(line.indent + left + line.ending)
        else:
            texts.append(line.raw)
    return "".join(texts)


# The judge.


def _edited(text: str, option: Option, edit: Callable[[str], str]) -> str:
    """The edited text; a last line without an ending stays without.

    Raises BrokenText if the text cannot be read, or would say something else of other options.
    """
    others = _others(_values(text), option)
    after = edit(_whole(text))
    if _whole(text) != text:
        after = _LAST_ENDING.sub("", after)
    if _others(_values(after), option) != others:
        raise BrokenText("it is written in a way that cannot be edited without changing other settings")
    return after


def _whole(text: str) -> str:
    if not text or text[-1] in "\r\n":
        return text
    ending = _ENDING.search(text)
    return text + (ending[0] if ending else "\n")


def _others(values: dict[tuple[str, str], str], option: Option) -> dict[tuple[str, str], str]:
    ours = (option.section, option.name)
    return {(section, key): text for (section, key), text in values.items() if (section, _normal(key)) != ours}


def _values(text: str) -> dict[tuple[str, str], str]:
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read_file(_LINE.findall(text), "file")
    except configparser.Error as error:
        raise _broken(error) from None
    return {(section, key): parser[section][key] for section in parser.sections() for key in parser[section]}


def _broken(error: configparser.Error) -> BrokenText:
    match error:
        case configparser.MissingSectionHeaderError():
            return BrokenText("there is a line before the first [section]", error.lineno)
        case configparser.DuplicateSectionError():
            return BrokenText(f"the section [{error.section}] is there twice", error.lineno)
        case configparser.DuplicateOptionError():
            return BrokenText(f"the option {error.option} is there twice in [{error.section}]", error.lineno)
        case configparser.ParsingError():
            return BrokenText("there is a line that is neither an option nor a [section]", error.errors[0][0])
        case _:
            return BrokenText("it is not an INI file")

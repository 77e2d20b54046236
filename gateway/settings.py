"""Settings: from a tree of keys to frozen structs, with every problem told at once.

A section is a ``msgspec.Struct``; its annotations say types, limits (``Meta``), what a key is
for (``Meta(description=…)``) and what msgspec cannot check (``Checked``). A struct may have a
method ``problems`` for what concerns several of its keys.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import (
    Annotated,
    Any,
    Final,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import Meta, Struct

S = TypeVar("S", bound=Struct)
M = TypeVar("M")

# Of a wrong value: enough to know it again.
_SHOWN_MAX: Final = 60


class ConfigProblems(Exception):
    """The configuration cannot be used.

    Attributes:
        problems: One line each: ``key: problem. cure``.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class BadValue(ValueError):
    """A value that is of the right type and still cannot be."""

    def __init__(self, problem: str, cure: str) -> None:
        self.problem = problem
        self.cure = cure
        super().__init__(f"{problem}. {cure}")


@dataclass(frozen=True, slots=True)
class Checked:
    """In an annotation: a function that returns the value to use, or raises ``BadValue``."""

    check: Callable[[Any], Any]


class Problem(NamedTuple):
    """What is wrong with a section; *key* is one of its own, or "" for the whole."""

    key: str
    problem: str
    cure: str


class Variable(str):
    """A value out of the environment: text that may mean a number, a truth value or a list."""

    __slots__ = ()


def overridden(
    keys: Mapping[str, Any], environment: Mapping[str, str], prefix: str
) -> dict[str, Any]:
    """Return *keys* with the variables that begin with *prefix* put in; ``__`` divides levels."""
    merged = {name: dict(key) if isinstance(key, dict) else key for name, key in keys.items()}
    for name, text in environment.items():
        if name.upper().startswith(prefix):
            *sections, last = name[len(prefix) :].lower().split("__")
            table = merged
            for section in sections:
                inner = table.get(section)
                table[section] = table = inner if isinstance(inner, dict) else {}
            table[last] = Variable(text)
    return merged


def build(kind: type[S], keys: Mapping[str, Any], prefix: str) -> S:
    """Return the *kind* that *keys* describe.

    Args:
        kind: A struct, perhaps with structs in it.
        keys: Names to values; tables to mappings.
        prefix: What the names of environment variables begin with.

    Raises:
        ConfigProblems: It cannot be made; holds everything that is wrong.
    """
    problems: list[str] = []
    built = _Builder(problems, prefix).section(kind, keys, "")
    if built is None or problems:
        raise ConfigProblems(problems)
    return built


class _Builder:
    """Builds sections, and collects what is wrong."""

    def __init__(self, problems: list[str], prefix: str) -> None:
        self._problems = problems
        self._prefix = prefix

    def section(self, kind: type[S], keys: Mapping[str, Any], where: str) -> S | None:
        before = len(self._problems)
        hints = get_type_hints(kind, include_extras=True)
        self._refuse_unknown(keys, list(kind.__struct_fields__), where)
        values = {}
        for field in msgspec.structs.fields(kind):
            key, hint = f"{where}{field.name}", hints[field.name]
            if _is_section(hint):
                values[field.name] = self._inner(hint, keys.get(field.name, {}), key)
            elif field.name in keys:
                values[field.name] = self._value(hint, keys[field.name], key)
            elif field.required:
                cure = f"Give {_description(hint)}, in the file or as {self._variable(key)}"
                self._tell(key, "is missing", cure)
        if len(self._problems) > before:
            return None
        built = kind(**values)
        for problem in _own_problems(built):
            self._tell((where + problem.key).rstrip("."), problem.problem, problem.cure)
        return built

    def _inner(self, kind: type[S], keys: object, key: str) -> S | None:
        if isinstance(keys, Mapping):
            return self.section(kind, keys, f"{key}.")
        self._tell(key, f"{_shown(keys)} is no table", f"Write the keys under [{key}]")
        return None

    def _value(self, hint: Any, value: object, key: str) -> object:
        """Return what *value* is as *hint*; of a list, each element by itself."""
        kind = get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
        try:
            if get_origin(kind) is tuple:
                elements = enumerate(_elements(value))
                wanted = get_args(kind)[0]
                value = [self._value(wanted, each, f"{key}.{n}") for n, each in elements]
                return msgspec.convert(value, _limited(hint, tuple[Any, ...]))
            is_text = isinstance(value, Variable)
            plain = str(value) if is_text else value
            value = msgspec.convert(plain, hint, strict=not is_text, dec_hook=_path)
            for checked in _marks(hint, Checked):
                value = value if value is None else checked.check(value)
        except BadValue as error:
            self._tell(key, error.problem, error.cure)
        except msgspec.ValidationError as error:
            told = str(error)[:1].lower() + str(error)[1:]
            self._tell(key, f"{_shown(value)} cannot be ({told})", f"Give {_description(hint)}")
        return value

    def _refuse_unknown(self, keys: Mapping[str, Any], known: list[str], where: str) -> None:
        for name in keys.keys() - known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}"
            problem, key = "there is no such key", f"{where}{name}"
            if isinstance(keys[name], Variable):
                problem += f", but a variable {self._variable(key)}"
            self._tell(key, problem, meant)

    def _variable(self, key: str) -> str:
        return self._prefix + key.replace(".", "__").upper()

    def _tell(self, key: str, problem: str, cure: str) -> None:
        self._problems.append(f"{key}: {problem}. {cure}")


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Struct)


def _own_problems(built: Struct) -> Iterable[Problem]:
    tell: Callable[[], Iterable[Problem]] | None = getattr(built, "problems", None)
    return tell() if tell else ()


def _elements(value: object) -> list[object]:
    if isinstance(value, Variable):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            problem = f"{_shown(value)} is no list"
            raise BadValue(problem, "Give it as JSON, such as '[\"C4:64:E3:00:00:01\"]'") from error
    if not isinstance(value, list):
        problem = f"{_shown(value)} is no list"
        raise BadValue(problem, 'Give it in brackets, such as ["C4:64:E3:00:00:01"]')
    return value


def _limited(hint: Any, kind: Any) -> Any:
    """Return *kind* with the limits that *hint* has."""
    for meta in _marks(hint, Meta):
        kind = Annotated[kind, meta]
    return kind


def _marks(hint: Any, kind: type[M]) -> Iterator[M]:
    """Yield the marks of this kind in an annotation, and in what is optional in it."""
    if hasattr(hint, "__metadata__"):
        inner, *marks = get_args(hint)
        yield from (mark for mark in marks if isinstance(mark, kind))
        yield from _marks(inner, kind)
    elif get_origin(hint) in {Union, UnionType}:
        for part in get_args(hint):
            yield from _marks(part, kind)


def _description(hint: Any) -> str:
    said = [meta.description for meta in _marks(hint, Meta) if meta.description]
    return said[0] if said else "another"


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    problem = f"Expected a path, got `{type(value).__name__}`"
    raise TypeError(problem)


def _shown(value: object) -> str:
    return repr(str(value)[:_SHOWN_MAX])

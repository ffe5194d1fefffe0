"""What a field of `Config` may be: one description for all places it can come from.

A field's metadata has a `Setting`: it checks values, reads the text of `-o`, of the
environment and of strings in a file, and shows values again. There is no other list.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SECONDS = 2**32 - 1
"""Longest timeout in seconds: 136 years, which no kernel structure truncates."""

MOST_CPUS = 1024
"""CPUs that the system call has room for."""

MOST_PORTS = 1 << 16

_WORDS = {"yes": True, "true": True, "on": True, "1": True}
_WORDS |= {"no": False, "false": False, "off": False, "0": False}

_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class Setting:
    """What a field may be, how messages say so, and how text becomes a value."""

    types: tuple[type, ...]
    allowed: str
    """What it may be, for a message that ends in "must be ..."."""
    parse: Callable[[str], object]
    """The value of a text; raises ValueError that says what was expected."""
    unit: str = ""
    contains: Callable[[Any], bool] = lambda _: True
    show: Callable[[Any], str] = str
    """A value as text that `parse` takes."""
    default: object = None
    sample: str = ""

    @property
    def example(self) -> str:
        """A value as text: the default, unless that says nothing about others."""
        return self.sample or self.written(self.default)

    @property
    def may_be_none(self) -> bool:
        """Whether "none" is a value."""
        return NoneType in self.types

    @property
    def is_flag(self) -> bool:
        """Whether its name alone means yes."""
        return self.types == (bool,)

    def problem(self, value: object) -> type[Exception] | None:
        """The exception that `value` deserves."""
        # bool is an int, but True is no number of threads
        is_bool = isinstance(value, bool) and bool not in self.types
        if is_bool or not isinstance(value, self.types):
            return TypeError
        return None if value is None or self.contains(value) else ValueError

    def read(self, text: str) -> object:
        """The value of a text.

        Raises:
            ValueError: It is no value; the message says what was expected.
        """
        if self.may_be_none and text.lower() == "none":
            return None
        return self.parse(text)

    def written(self, value: object) -> str:
        """A value as text that `read` takes."""
        return "none" if value is None else self.show(value)


def setting_of(field: dataclasses.Field[Any]) -> Setting:
    """What a field of `Config` may be."""
    setting = field.metadata["setting"]
    assert isinstance(setting, Setting)
    return setting


# Each helper gives a dataclass field that carries what it may be. They are typed `Any`
# because a type checker shall see the annotation of the field, not `Field`.


def flag(*, default: bool) -> Any:  # noqa: ANN401
    """On or off."""
    show = {True: "yes", False: "no"}.__getitem__
    setting = Setting((bool,), "True or False", _parse_flag, show=show)
    return _field(default, setting)


def integer(
    default: int | None, minimum: int, maximum: int, unit: str = "", step: int = 1
) -> Any:  # noqa: ANN401
    """A number of something; in texts bytes may end in k, m or g."""

    def contains(value: int) -> bool:
        return minimum <= value <= maximum and value % step == 0

    text = f"an integer from {minimum} to {maximum} {unit}".rstrip()
    text += f" in steps of {step}" if step > 1 else ""
    types: tuple[type, ...] = (int,)
    if default is None:
        types, text = (int, NoneType), f"{text}, or None"
    parse = _parse_bytes if unit == "bytes" else _parse_integer
    return _field(default, Setting(types, text, parse, unit, contains))


def seconds(default: float) -> Any:  # noqa: ANN401
    """A time, for something that always ends."""

    def contains(value: float) -> bool:
        return 0 <= value <= MAX_SECONDS

    text = f"a number of seconds from 0 to {MAX_SECONDS}"
    setting = Setting((int, float), text, _parse_number, "seconds", contains)
    return _field(default, setting)


def limit(default: float | None) -> Any:  # noqa: ANN401
    """A time after which something happens, or never."""

    # 0 would be "at once", not the "never" that somebody who writes it has in mind
    def contains(value: float) -> bool:
        return 0 < value <= MAX_SECONDS

    text = f"more than 0 and at most {MAX_SECONDS} seconds, or None for never"
    types = (int, float, NoneType)
    return _field(default, Setting(types, text, _parse_number, "seconds", contains))


def name(default: str, pattern: str, text: str) -> Any:  # noqa: ANN401
    """A word of the user's."""

    def contains(value: str) -> bool:
        return re.fullmatch(pattern, value) is not None

    return _field(default, Setting((str,), text, str, contains=contains))


def choice(*choices: str) -> Any:  # noqa: ANN401
    """One of some words, the first of which is the default."""
    text = f"{', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}"

    def parse(word: str) -> str:
        if word not in choices:
            raise ValueError(f"expected {', '.join(choices[:-1])} or {choices[-1]}")
        return word

    setting = Setting((str,), text, parse, contains=choices.__contains__)
    return _field(choices[0], setting)


def address() -> Any:  # noqa: ANN401
    """Where to listen, or None for nowhere."""

    def contains(value: str) -> bool:
        found = re.fullmatch(r"(?:[^\s:\[\]/]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", value)
        return found is not None and int(found[1]) < MOST_PORTS

    text = "HOST:PORT, as in 127.0.0.1:9100 or [::1]:9100, or None"
    sample = "127.0.0.1:9100"
    setting = Setting((str, NoneType), text, str, contains=contains, sample=sample)
    return _field(None, setting)


def cpus() -> Any:  # noqa: ANN401
    """A set of CPUs, or None for all."""

    def contains(value: frozenset[object]) -> bool:
        numbers = (isinstance(cpu, int) and 0 <= cpu < MOST_CPUS for cpu in value)
        return bool(value) and all(numbers)

    text = f"a set of CPUs, which are numbers from 0 to {MOST_CPUS - 1}, or None"
    types = (set, frozenset, NoneType)
    return _field(None, Setting(types, text, _parse_cpus, "", contains, _show_cpus))


def _field(default: object, setting: Setting) -> Any:  # noqa: ANN401
    setting = dataclasses.replace(setting, default=default)
    return dataclasses.field(default=default, metadata={"setting": setting})


def _parse_flag(text: str) -> bool:
    try:
        return _WORDS[text.lower()]
    except KeyError:
        raise ValueError("expected yes or no") from None


def _parse_integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("expected an integer") from None


def _parse_bytes(text: str) -> int:
    found = re.fullmatch(r"([+-]?\d+)([kmg]?)", text.strip().lower())
    if not found:
        raise ValueError("expected an integer, which may end in k, m or g")
    return int(found[1]) * _FACTORS[found[2]]


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("expected a number") from None


def _parse_cpus(text: str) -> frozenset[int]:
    """`0-3,8`; in `-o`, where a comma ends the option, `0-3:8`."""
    found: set[int] = set()
    for part in re.split("[,:]", text):
        span = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
        if not span:
            raise ValueError("expected CPUs, as in 0-3:8")
        first, last = int(span[1]), int(span[2] or span[1])
        if last < first:
            raise ValueError(f"expected CPUs in order, not {part.strip()}")
        found.update(range(first, last + 1))
    return frozenset(found)


def _show_cpus(value: frozenset[int]) -> str:
    parts: list[list[int]] = []
    for cpu in sorted(value):
        if parts and parts[-1][-1] == cpu - 1:
            parts[-1].append(cpu)
        else:
            parts.append([cpu])
    spans = (f"{part[0]}-{part[-1]}" if part[1:] else f"{part[0]}" for part in parts)
    return ":".join(spans)

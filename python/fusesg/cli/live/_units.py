"""How numbers are written: short, so that columns of them are narrow."""

from __future__ import annotations

LONGEST = 7
"""Characters that a number takes at most, as a rule: `999 MiB`."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_MOST = 1000
"""What is not below it is written in the next larger unit."""
_WITHOUT_FRACTION = 10


def duration(seconds: float | None) -> str:
    """`870 ns`, `1.2 us`, `35 ms`, `2.5 s`; `-` for none."""
    if seconds is None:
        return "-"
    for unit, factor in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if round(seconds * factor) < _MOST:
            return f"{_digits(seconds * factor)} {unit}"
    return f"{_digits(seconds)} s"


def count(number: float) -> str:
    """`12`, `3.4`, `5.6k`, `7.8M`."""
    for unit, factor in (("", 1.0), ("k", 1e3), ("M", 1e6)):
        if round(number / factor) < _MOST:
            return _digits(number / factor) + unit
    return f"{_digits(number / 1e9)}G"


def size(number: float) -> str:
    """`0 B`, `4.0 KiB`, `17 MiB`."""
    for unit, factor in (("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20)):
        if round(number / factor) < _MOST:
            return f"{_digits(number / factor)} {unit}"
    return f"{_digits(number / (1 << 30))} GiB"


def age(seconds: float) -> str:
    """`12 s`, `3:25 min`, `4:05 h`, `2 d 4 h`."""
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02} min"
    if whole < _DAY:
        return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02} h"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def _digits(number: float) -> str:
    return (
        f"{number:.0f}"
        if number >= _WITHOUT_FRACTION or number == int(number)
        else f"{number:.1f}"
    )

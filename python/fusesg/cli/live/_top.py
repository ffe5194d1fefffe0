"""`fusesg top`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fusesg.cli._errors import CommandError, UsageError
from fusesg.cli.live import _channel, _view
from fusesg.cli.live._numbers import Interval
from fusesg.cli.live._screen import Screen, is_possible, width

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import TypeAlias

    from fusesg.cli._mount_table import MountEntry

    Lines: TypeAlias = Callable[[int | None], list[str]]
    """What is to be seen, for a width; None is any."""

_SHORTEST, _LONGEST = 0.1, 3600.0


def run(options: argparse.Namespace) -> int:
    """Shows what mounts do, again and again, or once."""
    if not _SHORTEST <= options.interval <= _LONGEST:
        allowed = f"from {_SHORTEST:g} to {_LONGEST:g} seconds"
        raise UsageError(f"--interval {options.interval:g}: {allowed}")
    view = _view_of(options.mountpoint)
    try:
        if options.once or not is_possible():
            _show_once(view, options.interval)
        else:
            _show(view, options.interval)
    except _channel.MountGoneError as error:
        print(error)
    except KeyboardInterrupt:
        pass  # how one leaves it
    return 0


def _view_of(mountpoint: str | None) -> _One | _All:
    if mountpoint is not None:
        return _One(_channel.find(mountpoint))
    entries = _channel.find_all()
    return _One(entries[0]) if len(entries) == 1 else _All()


class _One:
    """A mount in detail."""

    def __init__(self, entry: MountEntry) -> None:
        self._entry = entry
        try:
            self._before = _channel.statistics(entry)
        except _channel.MountGoneError as error:
            # it was not there in the first place
            raise CommandError(str(error)) from None

    def look(self) -> Lines:
        """What it has done since the last time."""
        now = _channel.statistics(self._entry)
        interval = Interval.between(self._before, now)
        self._before = now
        return lambda width: _view.rates(interval, width)


class _All:
    """A line for each mount, also of those that come later."""

    def __init__(self) -> None:
        self._before: dict[str, dict[str, Any]] = {}
        self.look()

    def look(self) -> Lines:
        """What they have done since the last time."""
        mounts: list[tuple[str, Interval | str]] = []
        before, self._before = self._before, {}
        for entry in _channel.find_all():
            try:
                now = _channel.statistics(entry)
            except _channel.UnmountedError:
                continue
            except CommandError as error:
                mounts.append((entry.path, str(error).removeprefix(f"{entry.path}: ")))
                continue
            self._before[entry.device] = now
            mounts.append((entry.path, Interval.between(before.get(entry.device), now)))
        if not mounts:
            return lambda _: ["nothing is mounted by fusesg"]
        return lambda width: _view.overview(mounts, width)


def _show_once(view: _One | _All, interval: float) -> None:
    time.sleep(interval)
    print("\n".join(view.look()(width())))


def _show(view: _One | _All, interval: float) -> None:
    with Screen() as screen:
        lines: Lines = lambda _: ["counting ..."]  # noqa: E731
        while True:
            screen.draw(lines)
            match screen.wait(interval):
                case "quit":
                    return
                case "":
                    lines = view.look()

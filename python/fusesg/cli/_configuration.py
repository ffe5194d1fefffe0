"""`fusesg config`, and the settings that command line, environment and file make.

The command reads all sources that `fusesg.Config.load` knows, in its order.
"""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import fusesg
from fusesg._config import SETTINGS
from fusesg._config_sources import FILE_VARIABLE, PREFIX, split_options, unknown_option
from fusesg.cli._errors import CommandError, UsageError

if TYPE_CHECKING:
    import argparse

    from fusesg._config import ConfigOptions

_OF_THE_COMMAND = ("config", "log_file")
"""Options of `-o` that name what the command line has an option of its own for."""


def run(options: argparse.Namespace) -> int:
    """Shows settings, or what they mean."""
    if options.fields:
        for name in options.fields:
            _describe(name)
        return 0
    # so that the options of a line of /etc/fstab can be tried as they are
    options.settings = []
    take_own(options)
    show(load(options), as_json=options.json)
    return 0


def load(options: argparse.Namespace) -> fusesg.Config:
    """The settings that a command line, the environment and a file make.

    Raises:
        CommandError: One of them is wrong; the text says where.
    """
    keywords: ConfigOptions = {}
    if getattr(options, "trace", False):
        keywords["trace"] = True
    if metrics := getattr(options, "metrics", None):
        keywords["metrics"] = metrics
    try:
        return fusesg.Config.load(
            options.config or os.environ.get(FILE_VARIABLE) or None,
            environment=os.environ,
            options=",".join(options.options),
            profile=options.profile,
            **keywords,
        )
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None


def take_own(options: argparse.Namespace) -> None:
    """Turns `-o config=FILE`, `-o log_file=FILE` into `--config` and `--log-file`.

    A line of /etc/fstab has no other options than those of `-o`.
    """
    rest = []
    for option in split_options(",".join(options.options)):
        name, _, value = option.partition("=")
        if name in _OF_THE_COMMAND:
            if not value:
                raise UsageError(f"option {name} needs a value: {name}=FILE")
            # what was said on the command line itself counts
            if getattr(options, name, None) is None:
                setattr(options, name, value)
        elif name.startswith("set."):
            options.settings.append(option.removeprefix("set."))
        else:
            rest.append(option.replace(",", "\\,"))
    options.options = rest


def show(config: fusesg.Config, *, as_json: bool = False) -> None:
    """Prints all settings, and where each comes from."""
    # keywords are this program's own: for SOURCE and --trace
    origins = {
        name: "command line" if origin == "keyword" else origin
        for name, origin in config.origins().items()
    }
    if as_json:
        json.dump(_as_objects(config, origins), sys.stdout, indent=2)
        print()
        return
    rows = [("setting", "value", "unit", "from")]
    for name, setting in SETTINGS.items():
        value = setting.written(getattr(config, name))
        rows.append((name, value, setting.unit, origins[name]))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        print(*cells, row[3], sep="  ")


def _as_objects(config: fusesg.Config, origins: dict[str, str]) -> dict[str, Any]:
    objects = {}
    for name, setting in SETTINGS.items():
        objects[name] = {
            "value": _plain(getattr(config, name)),
            "default": _plain(setting.default),
            "unit": setting.unit or None,
            "from": origins[name],
        }
    return objects


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


def _describe(name: str) -> None:
    """Prints what a setting means, may be and is by default, and how to set it."""
    if name not in SETTINGS:
        raise UsageError(unknown_option(name, SETTINGS))
    setting = SETTINGS[name]
    default = setting.example
    print(name)
    print(textwrap.indent(textwrap.fill(_documentation(name), 78), "  "))
    print(f"  must be   {setting.allowed}")
    print(f"  set by    -o {name}={default}")
    print(f"            {PREFIX}{name.upper()}={default}")
    quoted = default if _is_toml(default) else json.dumps(default)
    words = {"yes": "true", "no": "false"}
    if setting.is_flag:
        quoted = words[default]
    print(f"            {name} = {quoted}    in a file")
    print(f"            Config({name}={setting.default!r})")


def _is_toml(text: str) -> bool:
    return re.fullmatch(r"[\d.]+", text) is not None


def _documentation(name: str) -> str:
    """What the docstring of `Config` says; nothing under `python -OO`."""
    pattern = rf"^ +{name}: (.*(?:\n            .*)*)"
    found = re.search(pattern, fusesg.Config.__doc__ or "", re.MULTILINE)
    return " ".join(found[1].split()) if found else ""

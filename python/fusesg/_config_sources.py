"""Where settings come from: files, the environment, `-o`, profiles, keywords.

Each source becomes a `Layer`: values, and for each the place that it was read from, so
that an error can name the place and `fusesg config` can show it. `merge` puts layers on
top of each other. What a value may be is for the fields of `Config` to say; this module
knows none of them by name.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fusesg._config_profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from fusesg._config_fields import Setting

    Settings = Mapping[str, Setting]

TABLE = "fusesg"
"""The table of a file that is read; a file without it is read whole."""

PREFIX = "FUSESG_"
"""Of environment variables."""

PROFILE = "profile"
"""What a profile is named by in every source."""

FILE_VARIABLE = f"{PREFIX}CONFIG"
"""The environment variable that names a file, for the command line."""


@dataclass(frozen=True)
class Origin:
    """Where a value was read."""

    place: str
    """As it is shown: `/etc/fusesg.toml:3`."""
    quote: str
    """As it begins an error message: `/etc/fusesg.toml:3: max_write=1`."""


@dataclass
class Layer:
    """The settings of one source."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    profile: tuple[str, Origin] | None = None
    """The profile that the source names."""

    def set(self, name: str, value: object, origin: Origin) -> None:
        """Enters a value; a later one wins."""
        self.values[name] = value
        self.origins[name] = origin


DEFAULT = Origin("default", "default")


def merge(layers: Iterable[Layer]) -> Layer:
    """Puts layers on top of each other, the last one uppermost.

    The profile that the uppermost of them names lies below all of them: what somebody
    has set one by one, wherever, is not changed by a profile.
    """
    layers = list(layers)
    named = [layer.profile for layer in layers if layer.profile]
    merged = Layer()
    if named:
        merged.profile = (name, origin) = named[-1]
        place = f"profile {name}"
        if origin is not DEFAULT:
            place += f" ({origin.place})"
        for key, value in PROFILES[name].values.items():
            merged.set(key, value, Origin(place, f"{place}: {key}={value}"))
    for layer in layers:
        merged.values |= layer.values
        merged.origins |= layer.origins
    return merged


def profile_layer(name: str, origin: Origin = DEFAULT) -> Layer:
    """The layer that names a profile and nothing else.

    Raises:
        ValueError: There is no such profile.
    """
    if name not in PROFILES:
        quote = "" if origin is DEFAULT else f"{origin.quote}: "
        known = ", ".join(PROFILES)
        raise ValueError(f"{quote}no profile {name!r}; profiles are {known}")
    return Layer(profile=(name, origin))


# Files


def read_file(path: Path, settings: Settings) -> Layer:
    """The settings in a TOML file, in its table [fusesg] or else at its top.

    Raises:
        OSError: It cannot be read.
        TypeError: A key is unknown.
        ValueError: It is no TOML, or a value cannot be understood.
    """
    text = path.read_bytes()
    try:
        content = tomllib.loads(text.decode())
    except ValueError as error:  # UnicodeDecodeError is one, too
        raise ValueError(f"{path}: {error}{_spelling(text)}") from None
    table = content.get(TABLE)
    if table is None:
        values, lines = content, _lines(text.decode(), None)
    elif isinstance(table, dict):
        values, lines = table, _lines(text.decode(), TABLE)
        _refuse_strays(path, content, _lines(text.decode(), None), settings)
    else:
        raise TypeError(f"{path}: {TABLE} must be a table of settings: [{TABLE}]")
    layer = Layer()
    for name, value in values.items():
        place = f"{path}:{lines[name]}" if name in lines else str(path)
        origin = Origin(place, f"{place}: {name}={_shown(value)}")
        if name == PROFILE:
            layer.profile = profile_layer(str(value), origin).profile
            continue
        setting = _known(name, settings, f"{place}: ")
        layer.set(name, _from_toml(value, setting, origin), origin)
    return layer


def _refuse_strays(
    path: Path, content: Mapping[str, Any], lines: Mapping[str, int], settings: Settings
) -> None:
    """Refuses settings above the table: whoever wrote them there wants them to count.

    Tables of others, and what has no likeness to a setting, are others' business.
    """
    known = {*settings, *_ELSEWHERE, PROFILE}
    for name, value in content.items():
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if isinstance(value, dict) or not close:
            continue
        place = f"{path}:{lines[name]}" if name in lines else str(path)
        raise TypeError(
            f"{place}: {name}={_shown(value)}: only the table [{TABLE}] counts in a "
            f"file that has one; write it below [{TABLE}]"
        )


def _spelling(text: bytes) -> str:
    """What to add to a syntax error: Python's spelling of a value is none of TOML's."""
    found = re.search(rb"=\s*(True|False|None)\s*(?:#.*)?$", text, re.MULTILINE)
    if not found:
        return ""
    word = found[1].decode()
    right = '"none"' if word == "None" else word.lower()
    return f"; TOML has {right} for {word}"


def _from_toml(value: object, setting: Setting, origin: Origin) -> object:
    if isinstance(value, str):
        if setting.is_flag and value.lower() in {"true", "false"}:
            # elsewhere in the program that reads the file, both would be true
            raise TypeError(f"{origin.quote}: write it without quotes: {value.lower()}")
        # text means what it means in -o, so that there is a way to say none
        return _read(setting, value, origin)
    # TOML has no sets
    if isinstance(value, list) and all(type(item) is int for item in value):
        return frozenset(value)
    return value


def _lines(text: str, table: str | None) -> dict[str, int]:
    """The line of each key of a table; best effort, as tomllib does not tell."""
    found: dict[str, int] = {}
    current = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            current = header[1].strip("\"'")
        elif (key := re.match(r"""\s*["']?([\w-]+)["']?\s*=""", line)) and (
            current == table
        ):
            found.setdefault(key[1], number)
        elif table and current is None and key and key[1] == table:
            # fusesg = { ... }, all on one line
            inline = re.findall(r"""["']?([\w-]+)["']?\s*=""", line)
            found |= dict.fromkeys(inline[1:], number)
        elif dotted := re.match(rf"\s*{table}\.([\w-]+)\s*=", line):
            found.setdefault(dotted[1], number)
    return found


def _shown(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


# The environment


def read_environment(environment: Mapping[str, str], settings: Settings) -> Layer:
    """The settings in variables like FUSESG_ENTRY_TIMEOUT; an empty one is as unset.

    Raises:
        TypeError: A variable begins with FUSESG_ and names no setting.
        ValueError: A value cannot be understood.
    """
    layer = Layer()
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or not text or variable == FILE_VARIABLE:
            continue
        name = variable.removeprefix(PREFIX).lower()
        origin = Origin(variable, f"{variable}={text}")
        if name == PROFILE:
            layer.profile = profile_layer(text, origin).profile
            continue
        setting = _known(name, settings, f"{variable}: ")
        layer.set(name, _read(setting, text, origin), origin)
    return layer


# What mount(8) is told


def split_options(options: str) -> list[str]:
    r"""The options of a `-o`, without spaces around them; `\,` is a comma in one."""
    parts = re.split(r"(?<!\\),", options)
    return [part.strip().replace("\\,", ",") for part in parts]


def read_options(options: str, settings: Settings) -> Layer:
    """The settings in a mount(8)-style option string.

    Raises:
        TypeError: An option is unknown.
        ValueError: A value is missing or cannot be understood.
    """
    layer = Layer()
    for option in split_options(options):
        name, equals, text = option.partition("=")
        if not name or _IGNORED.fullmatch(name):
            continue
        origin = Origin("-o", f"option {option}")
        if not equals and name in _MOUNT_WORDS:
            for key, value in _MOUNT_WORDS[name].items():
                layer.set(key, value, origin)
            continue
        if name in _MOUNT_WORDS:
            raise ValueError(f"{origin.quote}: {name} takes no value")
        name = _OTHER_NAMES.get(name, name)
        if name == PROFILE:
            layer.profile = profile_layer(text, origin).profile
            continue
        if name not in settings:
            words = [*settings, *_OTHER_NAMES, *_MOUNT_WORDS]
            raise TypeError(unknown_option(name, words))
        setting = settings[name]
        if equals:
            layer.set(name, _read(setting, text, origin), origin)
        elif setting.is_flag:
            layer.set(name, True, origin)
        else:
            raise ValueError(f"option {name} needs a value: {name}={setting.example}")
    return layer


_MOUNT_WORDS: dict[str, dict[str, bool]] = {
    "ro": {"read_only": True},
    "rw": {"read_only": False},
    "nosuid": {"suid": False},
    "nodev": {"dev": False},
    "noexec": {"exec": False},
    "atime": {"noatime": False},
}

_OTHER_NAMES = {"fsname": "source"}

# options by which mount(8) and systemd decide when and by whom something is mounted,
# and what is taken for granted or never had an effect on FUSE
_IGNORED = re.compile(
    r"defaults|auto|noauto|user|users|nouser|nousers|owner|group|nofail|_netdev|x-.*"
    r"|comment|async|relatime|norelatime|diratime|nodiratime|loud|silent|helper|uhelper"
    r"|nonempty"
)

# words of mount(8), libfuse and the libraries on it, for who has them in mind
_ELSEWHERE = {
    "ro": "did you mean read_only?",
    "rw": "did you mean read_only? It is off by default",
    "nosuid": "did you mean suid? It is off by default",
    "nodev": "did you mean dev? It is off by default",
    "noexec": "did you mean exec? It is on by default",
    "atime": "did you mean noatime? It is off by default",
    "fsname": "did you mean source?",
    "attr_timeout": "did you mean attribute_timeout?",
    "kernel_cache": "did you mean keep_cache?",
    "debug": "did you mean trace?",
    "nonempty": "a directory that is not empty may always be mounted on",
    "use_ino": "inode numbers are always those of Attributes.inode",
    "foreground": "mount() serves in the background, serve() in the foreground",
    "nothreads": (
        "callbacks always run on threads of the mount; max_python_threads bounds them"
    ),
    "threads": (
        "reader_threads sets how many threads read requests from the kernel, "
        "max_python_threads how many may run Python callbacks at the same time"
    ),
}


_SURELY = 0.8
"""How much of two names agrees if one is certainly a slip of the other."""


# All of them


def _known(name: str, settings: Settings, place: str = "") -> Setting:
    try:
        return settings[name]
    except KeyError:
        raise TypeError(place + unknown_option(name, settings)) from None


def _read(setting: Setting, text: str, origin: Origin) -> object:
    try:
        return setting.read(text)
    except ValueError as error:
        raise ValueError(f"{origin.quote}: {error}") from None


def unknown_option(name: str, settings: Iterable[str]) -> str:
    """What to say of a name that is no setting."""
    known = [*settings]
    close = difflib.get_close_matches(name, [*known, *_ELSEWHERE], cutoff=_SURELY)
    if close and close[0] not in known:
        return f"unknown option {name!r}; {_ELSEWHERE[close[0]]}"
    close = [each for each in close if each in known]
    close = close or difflib.get_close_matches(name, known, cutoff=0.5)
    close = close or [each for each in known if name in each or each in name]
    if close:
        return f"unknown option {name!r}; did you mean {' or '.join(close)}?"
    return f"unknown option {name!r}; options are {', '.join(known)}"

"""Settings of one mount."""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Self, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SECONDS = 2**32 - 1
"""Longest timeout in seconds: 136 years, which no kernel structure truncates."""

PAGE = 4096


class ConfigOptions(TypedDict, total=False):
    """The keywords of `Config`, for the signatures that pass them on."""

    allow_other: bool
    default_permissions: bool
    read_only: bool
    suid: bool
    dev: bool
    exec: bool
    noatime: bool
    source: str
    subtype: str
    entry_timeout: float
    attribute_timeout: float
    negative_timeout: float
    writeback_cache: bool
    kernel_passthrough: bool
    max_write: int
    splice_threshold: int
    splice_move: bool
    max_readahead: int | None
    max_background: int
    congestion_threshold: int | None
    max_requests: int
    reader_threads: int
    max_python_threads: int
    max_fetches: int
    request_timeout: float | None
    slow_request_warning: float | None
    watchdog_timeout: float | None
    trace: bool


@dataclass(frozen=True)
class _Allowed:
    """What a field may be, and how an error message says so."""

    types: tuple[type, ...]
    text: str
    contains: Callable[[Any], bool] = lambda _: True

    def problem(self, value: object) -> type[Exception] | None:
        """The exception that `value` deserves."""
        # bool is an int, but True is no number of threads
        is_bool = isinstance(value, bool) and bool not in self.types
        if is_bool or not isinstance(value, self.types):
            return TypeError
        return None if value is None or self.contains(value) else ValueError


# Each helper gives a dataclass field that carries what it may be. They are typed `Any`
# because a type checker shall see the annotation of the field, not `Field`.


def _flag(*, default: bool) -> Any:  # noqa: ANN401
    return _field(default, _Allowed((bool,), "True or False"))


def _integer(
    default: int | None, minimum: int, maximum: int, unit: str = "", step: int = 1
) -> Any:  # noqa: ANN401
    def contains(value: int) -> bool:
        return minimum <= value <= maximum and value % step == 0

    text = f"an integer from {minimum} to {maximum} {unit}".rstrip()
    text += f" in steps of {step}" if step > 1 else ""
    if default is not None:
        return _field(default, _Allowed((int,), text, contains))
    return _field(None, _Allowed((int, NoneType), text + ", or None", contains))


def _seconds(default: float) -> Any:  # noqa: ANN401
    return _field(
        default,
        _Allowed(
            (int, float),
            f"a number of seconds from 0 to {MAX_SECONDS}",
            lambda value: 0 <= value <= MAX_SECONDS,
        ),
    )


def _limit(default: float | None) -> Any:  # noqa: ANN401
    # 0 would be "at once", not the "never" that somebody who writes it has in mind
    return _field(
        default,
        _Allowed(
            (int, float, NoneType),
            f"more than 0 and at most {MAX_SECONDS} seconds, or None for never",
            lambda value: 0 < value <= MAX_SECONDS,
        ),
    )


def _name(default: str, pattern: str, text: str) -> Any:  # noqa: ANN401
    def contains(value: str) -> bool:
        return re.fullmatch(pattern, value) is not None

    return _field(default, _Allowed((str,), text, contains))


def _field(default: object, allowed: _Allowed) -> Any:  # noqa: ANN401
    return dataclasses.field(default=default, metadata={"allowed": allowed})


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of one mount; immutable, may be used for many mounts.

    ```python
    config = fusesg.Config(entry_timeout=60, attribute_timeout=60)
    with fusesg.mount(filesystem, "/mnt/a", config):
        ...
    with fusesg.mount(filesystem, "/mnt/b", config, read_only=True):
        ...
    ```

    Who may do what:

    Attributes:
        allow_other: Let users other than the one who mounts in. Off, because a mount
            then answers for other users' programs. Needs root, or `user_allow_other`
            in /etc/fuse.conf.
        default_permissions: The kernel checks permissions by owner, mode and ACL. On;
            switch it off only if the file system decides itself, in `access` and in
            every operation.
        read_only: Mount read-only: the kernel answers EROFS. Off; a file system
            without any modifying method is mounted read-only anyway.
        suid: Honour set-user-id and set-group-id bits. Off, as for every mount of
            foreign content.
        dev: Let device files be opened. Off, for the same reason.
        exec: Let programs be executed. On.
        noatime: Do not update access times. Off.
        source: What /proc/mounts and `df` show as the device; `-o fsname=` of the
            command line. Default "fusesg".
        subtype: The file system type is shown as `fuse.SUBTYPE`. Default "fusesg",
            by which `fusesg umount` knows its own mounts.

    What the kernel may remember:

    Attributes:
        entry_timeout: Seconds for which a name is believed to lead to its inode,
            where an `Entry` does not say otherwise. Default 1.
        attribute_timeout: Seconds for which attributes are believed, where an `Entry`
            does not say otherwise. Default 1.
        negative_timeout: Seconds for which a name is believed not to exist. Default
            0: a file that appears from elsewhere is seen at once.
        writeback_cache: The kernel collects writes in its page cache and sends them
            later. Off: the file system is then no longer asked who wrote and in what
            order, and owns neither size nor mtime. Excludes `kernel_passthrough`.
        kernel_passthrough: The kernel reads and writes the files that stand behind
            the open ones by itself, where the file system offers them and the machine
            allows it (root, Linux >= 6.9). Off.

    How requests travel:

    Attributes:
        max_write: Largest WRITE in bytes, which also sets the largest READ; a
            multiple of 4096. Default 1044480: a page less than 1 MiB, so that a
            request and its header fit a pipe of 1 MiB.
        splice_threshold: A READ that is answered with at least this many bytes of
            files, pipes and sockets goes through a pipe and is not copied by the
            server. Default 32768; below, setting the pipe up costs more than the copy.
            A value above `max_write` switches it off.
        splice_move: When it reads ahead, the kernel may take whole pages of such an
            answer over instead of copying them. A page that it takes leaves the cache
            of the file it comes from, so that whoever reads that file next, this mount
            included, waits for the disk: on where nobody does. Off.
        max_readahead: Readahead in bytes. Default None: what the kernel offers.
        max_background: Requests that the kernel may have in flight without a process
            waiting for each (readahead, asynchronous I/O). Default 128; the kernel's
            own 12 starves deep queues.
        congestion_threshold: Background requests above which the kernel holds
            readahead back. Default None: three quarters of `max_background`.
        max_requests: Operations that are in progress in this process at a time, in a
            callback or on their way to one. Further ones wait in order of arrival;
            closing a file goes on all the same. Default 4096.

    Who serves them:

    Attributes:
        reader_threads: Threads that read requests. Default 2, which is also the
            least: a callback that uses its own mount must find somebody to serve it.
        max_python_threads: Threads that may run Python callbacks at the same time
            when callbacks block. Default 64. They come and go as needed.
        max_fetches: `Fetch` pieces of this mount that are carried out at the same
            time, of one read or of several; the others wait for their turn. Default
            16. Of those whose source is a function, never more than
            `max_python_threads` allows.
        request_timeout: Seconds after which a request is answered ETIMEDOUT whatever
            its callback does. Default None: never, since only the file system knows
            how slow its source may be.
        slow_request_warning: Seconds after which a request that is still unanswered
            is named in the log. Default 30; None is never.
        watchdog_timeout: Seconds for which the interpreter lock may be unavailable
            while a thread of this process waits inside its own mount, before pending
            requests are answered EIO: without it both would wait for ever. Default
            10, far above what a busy interpreter needs; None is never.
        trace: Log every operation and its answer, to the logger `fusesg.trace` at
            level DEBUG. Off.
    """

    allow_other: bool = _flag(default=False)
    default_permissions: bool = _flag(default=True)
    read_only: bool = _flag(default=False)
    suid: bool = _flag(default=False)
    dev: bool = _flag(default=False)
    exec: bool = _flag(default=True)
    noatime: bool = _flag(default=False)
    source: str = _name(
        "fusesg",
        pattern=r"[^\0\n]+",
        text="a non-empty string without NUL and newline",
    )
    subtype: str = _name(
        "fusesg",
        pattern=r"[A-Za-z0-9_.+-]+",
        text="letters, digits and any of _ . + -",
    )
    entry_timeout: float = _seconds(1.0)
    attribute_timeout: float = _seconds(1.0)
    negative_timeout: float = _seconds(0.0)
    writeback_cache: bool = _flag(default=False)
    kernel_passthrough: bool = _flag(default=False)
    max_write: int = _integer(1_044_480, PAGE, 16 << 20, "bytes", step=PAGE)
    splice_threshold: int = _integer(32_768, 0, 2**32 - 1, "bytes")
    splice_move: bool = _flag(default=False)
    max_readahead: int | None = _integer(None, 0, 2**32 - 1, "bytes")
    max_background: int = _integer(128, 1, 2**16 - 1)
    congestion_threshold: int | None = _integer(None, 1, 2**16 - 1)
    max_requests: int = _integer(4096, 1, 2**16)
    reader_threads: int = _integer(2, 2, 256)
    max_python_threads: int = _integer(64, 1, 4096)
    max_fetches: int = _integer(16, 1, 65535)
    request_timeout: float | None = _limit(None)
    slow_request_warning: float | None = _limit(30.0)
    watchdog_timeout: float | None = _limit(10.0)
    trace: bool = _flag(default=False)

    def __new__(cls, **options: object) -> Self:
        """Refuses unknown keywords with a better message than `__init__` has."""
        for option in options:
            if option not in cls.__dataclass_fields__:
                raise TypeError(_unknown_option(option))
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Checks every field."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            allowed: _Allowed = field.metadata["allowed"]
            if problem := allowed.problem(value):
                raise problem(
                    f"{field.name}={value!r}: {field.name} must be {allowed.text}"
                )
        if self.writeback_cache and self.kernel_passthrough:
            raise ValueError(
                "writeback_cache=True and kernel_passthrough=True exclude each other: "
                "the kernel cannot both cache writes and pass them to the backing file"
            )
        threshold = self.congestion_threshold
        if threshold is not None and threshold > self.max_background:
            raise ValueError(
                f"congestion_threshold={threshold}: congestion_threshold must be at "
                f"most max_background, which is {self.max_background}"
            )

    def replace(self, **options: object) -> Self:
        """A copy with some settings changed.

        Args:
            **options: Fields of this class by name.

        Returns:
            The copy.

        Raises:
            TypeError: A keyword is unknown, or a value has the wrong type.
            ValueError: A value is out of range.
        """
        return dataclasses.replace(self, **options)  # type: ignore[arg-type]

    def settings(self) -> dict[str, Any]:
        """The settings by name, as the core takes them."""
        return {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }

    @classmethod
    def from_options(cls, options: str) -> Self:
        r"""The settings that a mount(8)-style option string names.

        `"ro,allow_other,entry_timeout=60"`: every field of this class by its name,
        a flag alone or with `=yes` or `=no`, and the usual words of mount(8): ro, rw,
        suid, nosuid, dev, nodev, exec, noexec, atime, noatime, fsname=. A later option
        wins over an earlier one. A comma inside a value is written `\,`. What mount(8)
        keeps for itself (defaults, auto, nofail, _netdev, user, x-… and their like) is
        accepted and ignored, so that a line of /etc/fstab can be passed on.

        Args:
            options: Options separated by commas; may be empty.

        Returns:
            The settings, with defaults for what is not named.

        Raises:
            TypeError: An option is unknown.
            ValueError: A value is missing, of the wrong kind or out of range.
        """
        values: dict[str, Any] = {}
        for option in re.split(r"(?<!\\),", options):
            name, equals, text = option.strip().replace("\\,", ",").partition("=")
            if not name or _IGNORED.fullmatch(name):
                continue
            if not equals and name in _MOUNT_WORDS:
                values.update(_MOUNT_WORDS[name])
                continue
            name = {"fsname": "source"}.get(name, name)
            values[name] = _parse(name, text if equals else None)
        return cls(**values)


_MOUNT_WORDS: dict[str, dict[str, bool]] = {
    "ro": {"read_only": True},
    "rw": {"read_only": False},
    "nosuid": {"suid": False},
    "nodev": {"dev": False},
    "noexec": {"exec": False},
    "atime": {"noatime": False},
}

# options by which mount(8) and systemd decide when and by whom something is mounted
_IGNORED = re.compile(
    r"defaults|auto|noauto|user|users|nouser|owner|group|nofail|_netdev|x-.*"
)


def _parse(name: str, text: str | None) -> object:
    """The value that `text` means for field `name`; None as text is a bare flag."""
    field = next(
        (field for field in dataclasses.fields(Config) if field.name == name), None
    )
    if field is None:
        raise TypeError(_unknown_option(name))
    kind = str(field.type)
    if kind == "bool":
        words = {"yes": True, "true": True, "1": True, None: True}
        words |= {"no": False, "false": False, "0": False}
        if text not in words:
            raise ValueError(f"option {name}={text}: expected yes or no")
        return words[text]
    if text is None:
        raise ValueError(f"option {name} needs a value: {name}={field.default}")
    if kind == "str":
        return text
    if text == "none" and "None" in kind:
        return None
    try:
        return float(text) if "float" in kind else int(text)
    except ValueError:
        what = "a number" if "float" in kind else "an integer"
        raise ValueError(f"option {name}={text}: expected {what}") from None


def _unknown_option(name: str) -> str:
    if name == "threads":
        return (
            "unknown option 'threads': reader_threads sets how many threads read "
            "requests from the kernel, max_python_threads how many may run Python "
            "callbacks at the same time"
        )
    known = [field.name for field in dataclasses.fields(Config)]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    close = close or [each for each in known if name in each or each in name]
    if close:
        return f"unknown option {name!r}; did you mean {' or '.join(close)}?"
    return f"unknown option {name!r}; options are {', '.join(known)}"

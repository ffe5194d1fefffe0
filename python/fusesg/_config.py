"""Settings of one mount."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from fusesg import _config_fields as fields
from fusesg import _config_sources as sources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from fusesg._config_fields import Setting
    from fusesg._config_sources import Origin

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
    direct_io: bool
    keep_cache: bool
    no_flush: bool
    parallel_direct_writes: bool
    cache_directories: bool
    cache_symlinks: bool
    readdirplus: Literal["auto", "always", "never"]
    directory_buffer: int
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
    cpu_affinity: AbstractSet[int] | None
    request_timeout: float | None
    slow_request_warning: float | None
    watchdog_timeout: float | None
    metrics: str | None
    trace: bool


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of one mount; immutable, may be used for many mounts.

    ```python
    config = fusesg.Config(entry_timeout=60, attribute_timeout=60)
    with fusesg.mount(filesystem, "/mnt/a", config):
        ...
    with fusesg.mount(filesystem, "/mnt/b", config, read_only=True):
        ...
    config = fusesg.Config.load("/etc/fusesg.toml", environment=os.environ)
    ```

    Settings can also come from a TOML file, the environment, a mount(8)-style option
    string and a profile, see `load`. `origins` tells where each came from.

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
            order, and owns neither size nor mtime. `open` gets O_RDWR for O_WRONLY and
            no O_APPEND. Excludes `kernel_passthrough`.
        kernel_passthrough: The kernel reads and writes the files that stand behind
            the open ones by itself, where the file system offers them and the machine
            allows it (root, Linux >= 6.9). Off: a read or write is then no request at
            all, and whatever the file system would do with it is not done.

    What holds for every open file, where `open` does not decide it with `Opened`:

    Attributes:
        direct_io: Programs read and write past the page cache: each call is a request
            of its own, of the size that the program chose. Off, since most programs
            read little at a time; on where content changes without the kernel knowing.
            A write then comes with `WRITE_KILL_SUIDGID` in `Context.write_flags` where
            set-id bits have to go, and the file system clears them. Excludes
            `writeback_cache` and `kernel_passthrough`.
        keep_cache: What the page cache has of a file is still good when it is opened
            again, unless its size or mtime have changed. Off: it would show old content
            of a file whose change does not show in its attributes.
        no_flush: Closing a file does not ask the file system. Off: an error that
            `flush` tells is what close(2) returns. A class without `flush` is never
            asked. Without effect on a mount with `writeback_cache`.
        parallel_direct_writes: Writes to one file that is open for direct I/O may come
            at the same time, within what it has; those that make it longer still come
            one by one. Off: they then may also overtake each other.

    What holds for directories and links:

    Attributes:
        cache_directories: The kernel keeps listings until a directory's mtime changes.
            Off: it would not see a name that appears from elsewhere and leaves the
            directory's mtime alone.
        cache_symlinks: The kernel keeps the targets of symbolic links. Off: nothing
            makes it ask again before it forgets the inode.
        readdirplus: When a listing carries attributes, of file systems that have them
            at hand: "always", "never", or as the kernel sees fit. Default "auto": at
            the beginning of a directory, and while a program asks for them anyway. They
            save a request for each name to who wants them, and cost who does not.
        directory_buffer: How much of a directory programs are told to read at a time,
            in bytes (`st_blksize`), and so, from Linux 6.16 on, the size of a listing
            request; at most 1 MiB, which is what the C library takes. Default 32768,
            what it takes by itself. More saves requests where each is expensive, as
            those to a Python class are, in directories of thousands of names; with
            `readdirplus` "auto" it also makes more of a listing carry attributes, and
            every directory takes longer to open. 0 leaves it to the file system.

    How requests travel:

    Attributes:
        max_write: Largest WRITE in bytes, which also sets the largest READ; a
            multiple of 4096. The kernel cuts requests at fs.fuse.max_pages_limit pages
            (a sysctl; 256 at first). Default 1040384: two pages less than 1 MiB, so
            that a request and its header fit a pipe of 1 MiB (fs.pipe-max-size),
            wherever in a file the request begins; more than that is copied unless
            CAP_SYS_RESOURCE allows a larger pipe.
        splice_threshold: A READ that is answered with at least this many bytes of
            files, pipes and sockets goes through a pipe and is not copied by the
            server. Default 32768; below, setting the pipe up costs more than the copy.
            A value above `max_write` switches it off.
        splice_move: When it reads ahead, the kernel may take whole pages of such an
            answer over instead of copying them. A page that it takes leaves the cache
            of the file it comes from, so that whoever reads that file next, this mount
            included, waits for the disk: on where nobody does. Off.
        max_readahead: How far the kernel reads ahead of a program that reads a file in
            order, in bytes, and so the largest READ through the page cache. Default
            None: what the kernel offers, 128 KiB. More than that is set through sysfs
            after mounting, which only root may; else the offer remains.
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
        reader_threads: Threads that read requests. Default 3, so that one waits for
            the next while two CPUs are busy with large ones; 2 at least: a callback
            that uses its own mount must find somebody to serve it. More only take the
            CPU from each other, unless the files lie on something slow. Where the mount
            is served on one CPU, one of them waits for requests and the others stand by
            until all that read are busy for a few milliseconds.
        max_python_threads: Threads that may run Python callbacks at the same time
            when callbacks block. Default 64. They come and go as needed.
        max_fetches: `Fetch` pieces of this mount that are carried out at the same
            time, of one read or of several; the others wait for their turn. Default
            16. Of those whose source is a function, never more than
            `max_python_threads` allows.
        cpu_affinity: The CPUs on which the mount is served: readers, threads for
            callbacks, and what these start. In text `0-3:8`. Default None: wherever the
            scheduler wants. Where client and server share a CPU a request that comes
            alone takes a fraction of the time, and many at a time take longer.
        request_timeout: Seconds after which a request is answered ETIMEDOUT whatever
            its callback does. Default None: never, since only the file system knows
            how slow its source may be.
        slow_request_warning: Seconds after which a request that is still unanswered
            is named in the log. Default 30; None is never.
        watchdog_timeout: Seconds for which the interpreter lock may be unavailable
            while a thread of this process waits inside its own mount, before pending
            requests are answered EIO: without it both would wait for ever. Default
            10, far above what a busy interpreter needs; None is never.
        metrics: `HOST:PORT` at which Prometheus may ask for the numbers of this mount,
            as `http://HOST:PORT/metrics`; port 0 takes a free one, which
            `Mount.metrics_address` tells. Anybody may ask who reaches the address, so
            127.0.0.1 as a rule. Default None: nowhere.
        trace: Log every operation and its answer, to the logger `fusesg.trace` at
            level DEBUG. Off.

    Raises:
        TypeError: A keyword is unknown, or a value has the wrong type; the message says
            which there are.
        ValueError: A value is out of range, or two exclude each other.
    """

    allow_other: bool = fields.flag(default=False)
    default_permissions: bool = fields.flag(default=True)
    read_only: bool = fields.flag(default=False)
    suid: bool = fields.flag(default=False)
    dev: bool = fields.flag(default=False)
    exec: bool = fields.flag(default=True)
    noatime: bool = fields.flag(default=False)
    source: str = fields.name(
        "fusesg",
        pattern=r"[^\0\n]+",
        text="a non-empty string without NUL and newline",
    )
    subtype: str = fields.name(
        "fusesg",
        pattern=r"[A-Za-z0-9_.+-]+",
        text="letters, digits and any of _ . + -",
    )
    entry_timeout: float = fields.seconds(1.0)
    attribute_timeout: float = fields.seconds(1.0)
    negative_timeout: float = fields.seconds(0.0)
    writeback_cache: bool = fields.flag(default=False)
    kernel_passthrough: bool = fields.flag(default=False)
    direct_io: bool = fields.flag(default=False)
    keep_cache: bool = fields.flag(default=False)
    no_flush: bool = fields.flag(default=False)
    parallel_direct_writes: bool = fields.flag(default=False)
    cache_directories: bool = fields.flag(default=False)
    cache_symlinks: bool = fields.flag(default=False)
    readdirplus: Literal["auto", "always", "never"] = fields.choice(
        "auto", "always", "never"
    )
    directory_buffer: int = fields.integer(32_768, 0, 1 << 20, "bytes")
    max_write: int = fields.integer(1_040_384, PAGE, 16 << 20, "bytes", step=PAGE)
    splice_threshold: int = fields.integer(32_768, 0, 2**32 - 1, "bytes")
    splice_move: bool = fields.flag(default=False)
    max_readahead: int | None = fields.integer(None, 0, 2**32 - 1, "bytes")
    max_background: int = fields.integer(128, 1, 2**16 - 1)
    congestion_threshold: int | None = fields.integer(None, 1, 2**16 - 1)
    max_requests: int = fields.integer(4096, 1, 2**16)
    reader_threads: int = fields.integer(3, 2, 256)
    max_python_threads: int = fields.integer(64, 1, 4096)
    max_fetches: int = fields.integer(16, 1, 65535)
    cpu_affinity: AbstractSet[int] | None = fields.cpus()
    request_timeout: float | None = fields.limit(None)
    slow_request_warning: float | None = fields.limit(30.0)
    watchdog_timeout: float | None = fields.limit(10.0)
    metrics: str | None = fields.address()
    trace: bool = fields.flag(default=False)

    def __new__(cls, **options: object) -> Self:
        """Refuses unknown keywords with a better message than `__init__` has."""
        for option in options:
            if option not in SETTINGS:
                raise TypeError(sources.unknown_option(option, SETTINGS))
        self = super().__new__(cls)
        return self._with_origins(_keywords(options))

    def __post_init__(self) -> None:
        """Checks every field."""
        _check(self.settings(), self._origins)
        if isinstance(self.cpu_affinity, set):
            # hashable, and nobody else's
            object.__setattr__(self, "cpu_affinity", frozenset(self.cpu_affinity))

    def replace(self, **options: Unpack[ConfigOptions]) -> Self:
        """A copy with some settings changed.

        Args:
            **options: Fields of this class by name.

        Returns:
            The copy.

        Raises:
            TypeError: A keyword is unknown, or a value has the wrong type.
            ValueError: A value is out of range.
        """
        copy = dataclasses.replace(self, **options)
        kept = {key: at for key, at in self._origins.items() if key not in options}
        return copy._with_origins(kept | _keywords(options))  # noqa: SLF001 - of this class

    def settings(self) -> dict[str, Any]:
        """The settings by name, as the core takes them."""
        return {name: getattr(self, name) for name in SETTINGS}

    def origins(self) -> dict[str, str]:
        """Where each setting comes from.

        Returns:
            By name: "default", "keyword", a variable like "FUSESG_ENTRY_TIMEOUT", "-o",
            a file and a line like "/etc/fusesg.toml:3", or "profile" and its name.
        """
        origins = self._origins
        return {name: origins.get(name, sources.DEFAULT).place for name in SETTINGS}

    # Sources; `load` has them all

    @classmethod
    def load(
        cls,
        file: str | os.PathLike[str] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        options: str = "",
        profile: str | None = None,
        **keywords: Unpack[ConfigOptions],
    ) -> Self:
        """The settings from several sources.

        What is set in more than one place counts in this order: keywords, `options`,
        `environment`, `file`, the profile, the default. The profile is the one that is
        named uppermost: by the argument, in `options` (`profile=latency`), in
        `FUSESG_PROFILE`, in the file (`profile = "latency"`).

        Args:
            file: A TOML file, as for `from_file`.
            environment: Variables, as for `from_environment`; None reads none.
            options: As for `from_options`.
            profile: Name of a profile, as for `profile`.
            **keywords: Fields of this class by name.

        Returns:
            The settings, with defaults for what is set nowhere.

        Raises:
            OSError: The file cannot be read.
            TypeError: A setting is unknown or has the wrong type; the message says
                where.
            ValueError: A value cannot be understood or is out of range; the message
                says where.
        """
        layers = []
        if file is not None:
            layers.append(sources.read_file(Path(file), SETTINGS))
        if environment is not None:
            layers.append(sources.read_environment(environment, SETTINGS))
        layers.append(sources.read_options(options, SETTINGS))
        if profile is not None:
            layers.append(sources.profile_layer(profile))
        merged = sources.merge(layers)
        for name, value in keywords.items():
            if name not in SETTINGS:
                raise TypeError(sources.unknown_option(name, SETTINGS))
            merged.values[name] = value
        merged.origins |= _keywords(keywords)
        # before the object is made, so that an error names the places
        defaults = {name: field.default for name, field in _FIELDS.items()}
        _check(defaults | merged.values, merged.origins)
        config = cls(**merged.values)
        return config._with_origins(merged.origins)

    @classmethod
    def from_file(cls, file: str | os.PathLike[str]) -> Self:
        """The settings in a TOML file.

        They are read from the table `[fusesg]`, or from the top of a file without one.
        Every field has its own name as key; `profile` names a profile. A string means
        what it means in `-o`: `"none"` is None, `"1m"` a number of bytes, `"0-3"` a set
        of CPUs. A setting above the table, where it would not count, is refused.

        ```toml
        [fusesg]
        profile = "throughput"
        entry_timeout = 60
        request_timeout = "none"
        cpu_affinity = [0, 1]
        ```

        Args:
            file: Its path.

        Returns:
            The settings, with defaults for what is not named.

        Raises:
            OSError: It cannot be read.
            TypeError: A key is unknown or a value has the wrong type; the message has
                file and line.
            ValueError: It is no TOML, or a value is out of range; the message has file
                and line.
        """
        return cls.load(file)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings in environment variables.

        Each field has one: `FUSESG_ENTRY_TIMEOUT=60`, `FUSESG_TRACE=yes`; and
        `FUSESG_PROFILE=latency`. Values are written as in `-o`; an empty one counts as
        unset. `FUSESG_CONFIG`, a file, is for the command line, and not read here.

        Nothing but this method and the command `fusesg` reads them: `Config()` is the
        same everywhere.

        Args:
            environment: The variables.

        Returns:
            The settings, with defaults for what is not set.

        Raises:
            TypeError: A variable begins with `FUSESG_` and names no field.
            ValueError: A value cannot be understood or is out of range.
        """
        return cls.load(environment=environment)

    @classmethod
    def from_options(cls, options: str) -> Self:
        r"""The settings that a mount(8)-style option string names.

        `"ro,allow_other,entry_timeout=60"`: every field of this class by its name,
        a flag alone or with `=yes` or `=no`, bytes with k, m or g; `profile=NAME`; and
        the usual words of mount(8): ro, rw, suid, nosuid, dev, nodev, exec, noexec,
        atime, noatime, fsname=. A later option wins over an earlier one. A comma inside
        a value is written `\,`. What mount(8) keeps for itself (defaults, auto, nofail,
        _netdev, user, x-… and their like) is accepted and ignored, so that a line of
        /etc/fstab can be passed on; so is nonempty, of old versions of libfuse.

        Args:
            options: Options separated by commas; may be empty.

        Returns:
            The settings, with defaults for what is not named.

        Raises:
            TypeError: An option is unknown.
            ValueError: A value is missing, of the wrong kind or out of range.
        """
        return cls.load(options=options)

    @classmethod
    def profile(cls, name: str, **keywords: Unpack[ConfigOptions]) -> Self:
        """The settings of a profile: what serves one purpose best, as measured.

        - "latency": many small requests, one after another, for content that seldom
          changes except through the mount.
        - "throughput": large files from beginning to end, many requests at a time.
        - "strict": content that changes behind the mount's back; nothing is remembered.

        Args:
            name: Which of them.
            **keywords: Fields of this class by name, which win over the profile's.

        Returns:
            The settings.

        Raises:
            TypeError: A keyword is unknown, or a value has the wrong type.
            ValueError: There is no such profile, or a value is out of range.
        """
        return cls.load(profile=name, **keywords)

    # The origins are no field: settings are equal wherever they come from.

    @property
    def _origins(self) -> Mapping[str, Origin]:
        origins: Mapping[str, Origin] = self.__dict__.get("_origin_of", {})
        return origins

    def _with_origins(self, origins: Mapping[str, Origin]) -> Self:
        object.__setattr__(self, "_origin_of", dict(origins))
        return self


def effective(config: object, options: Mapping[str, Any]) -> Config:
    """The settings that `config` and single `options` come to; None is the defaults.

    Raises:
        TypeError: `config` is no `Config`, an option is unknown or has the wrong type.
        ValueError: An option is out of range.
    """
    if config is None:
        config = Config()
    if not isinstance(config, Config):
        hint = "Config(**settings)" if isinstance(config, dict) else "Config(...)"
        raise TypeError(
            f"config must be a Config, not {type(config).__name__}: make one by "
            f"{hint}, or give single settings as keywords"
        )
    return config.replace(**options)


def _keywords(options: Mapping[str, object]) -> dict[str, Origin]:
    return {
        name: sources.Origin("keyword", f"{name}={value!r}")
        for name, value in options.items()
    }


_FIELDS = {field.name: field for field in dataclasses.fields(Config)}

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {name: fields.setting_of(field) for name, field in _FIELDS.items()}
)
"""What each field may be, for all sources."""


_EXCLUDE_EACH_OTHER = [
    (
        "writeback_cache",
        "kernel_passthrough",
        "the kernel cannot both cache writes and pass them to the backing file",
    ),
    (
        "writeback_cache",
        "direct_io",
        "writes past the page cache cannot be collected in it",
    ),
    (
        "kernel_passthrough",
        "direct_io",
        "the kernel sends what is read and written directly to the file system",
    ),
]


def _check(values: Mapping[str, Any], origins: Mapping[str, Origin]) -> None:
    """Raises what is wrong with the values of all fields."""

    def quote(name: str) -> str:
        origin = origins.get(name)
        return origin.quote if origin else f"{name}={values[name]!r}"

    for name, setting in SETTINGS.items():
        if problem := setting.problem(values[name]):
            raise problem(f"{quote(name)}: {name} must be {setting.allowed}")
    for one, other, reason in _EXCLUDE_EACH_OTHER:
        if values[one] and values[other]:
            raise ValueError(
                f"{quote(one)} and {quote(other)} exclude each other: {reason}"
            )
    threshold, most = values["congestion_threshold"], values["max_background"]
    if threshold is not None and threshold > most:
        raise ValueError(
            f"{quote('congestion_threshold')}: congestion_threshold must be at most "
            f"max_background, which is {most}"
        )

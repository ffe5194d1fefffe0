"""What the command line may say."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from typing import TYPE_CHECKING

import fusesg
from fusesg._config_profiles import PROFILES
from fusesg.cli import _bench_arguments
from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fusesg.cli._bench_arguments import Commands

_PROGRAM = """\
examples:
  fusesg demo                               see it work: about half a minute
  fusesg mount /srv/data /mnt               show a directory in another place
  fusesg mount memory: /mnt                 keep files in memory
  fusesg mount backup.tar /mnt              show an archive, without extracting it
  fusesg mount tar.py:TarFilesystem /mnt --set path=backup.tar
                                            mount a class of your own
  fusesg umount /mnt
  fusesg top /mnt                           what a mount does now
  fusesg config                             all settings, and where each comes from
  fusesg install-helper                     for mount(8) and /etc/fstab, as root
  fusesg doctor                             what this machine allows
  fusesg bench seeds                        what packing, splicing and moving bring
  fusesg bench peers                        the same I/O on other libraries

`fusesg COMMAND --help` has examples of each command.
"""

_MOUNT = """\
SOURCE is one of
  a directory           shown as it is, served without Python
  memory:               files in memory, served without Python; empty at first
  an archive            tar, or zip with stored members: read in place, read-only,
                        served without Python
  module:Class          a class that Python can import
  file.py:Class         a class in a file
The class is a fusesg.Filesystem; --set gives the arguments of its constructor, turned
into int, float, bool or Path where the constructor says so by an annotation.

The command returns when the mount is ready; the file system is then served in the
background, until it is unmounted. With --foreground it is served by the command itself,
until Ctrl-C, and its log is on stderr: the place to look when a program sees
"Input/output error". In the background that needs --log-file.

examples:
  fusesg mount /srv/data /mnt
  fusesg mount -o ro,allow_other /srv/data /mnt
  fusesg mount -o size=2g,mode=1777 memory: /mnt
  fusesg mount backup.tar /mnt
  fusesg mount examples/tar.py:TarFilesystem /mnt --set path=backup.tar
  fusesg mount mypackage.storage:Bucket /mnt --set bucket=photos --set retries=3
  fusesg mount hello.py:Hello /mnt --foreground --trace
  fusesg mount --profile throughput --config fusesg.toml /srv/data /mnt
  fusesg mount --profile latency --show-config /srv/data /mnt

options of -o, as in /etc/fstab, separated by commas:
  ro, allow_other, suid, dev, noexec, noatime, fsname=NAME, subtype=NAME,
  entry_timeout=SECONDS, attribute_timeout=SECONDS, reader_threads=N, kernel_passthrough
  and every other setting: `fusesg config` lists them, `fusesg config NAME` explains one
  profile=NAME, config=FILE, log_file=FILE, set.KEY=VALUE: as --profile, --config,
  --log-file and --set, for lines of /etc/fstab
of memory: only, as of tmpfs:
  size=BYTES, inodes=N (both may end in k, m, g or t), uid=N, gid=N, mode=OCTAL

A setting counts in this order: the command line, variables like FUSESG_ENTRY_TIMEOUT,
the file (--config, or the variable FUSESG_CONFIG), the profile, the default.
"""

_CONFIG = """\
A setting that is named in more than one place counts in this order: the command line;
variables like FUSESG_ENTRY_TIMEOUT; the file, a TOML file with a table [fusesg]
(--config, or the variable FUSESG_CONFIG); the profile (--profile, FUSESG_PROFILE,
profile = in the file); the default.

examples:
  fusesg config                            all settings, and where each comes from
  fusesg config --profile latency -o ro    what a mount with these options would have
  fusesg config entry_timeout max_write    what settings mean
  fusesg config --json > settings.json
"""

_INSTALL_HELPER = """\
Puts /sbin/mount.fuse.fusesg in place, by which mount(8) calls this very installation of
fusesg, and /sbin/mount.fusesg, a link to it. After that:

  mount -t fuse.fusesg /srv/data /mnt -o ro,profile=throughput
  mount -t fuse.fusesg memory: /mnt -o size=1g
  umount /mnt

and lines of /etc/fstab:

  /srv/data            /mnt/data  fuse.fusesg  ro,allow_other,_netdev          0  0
  /srv/backup.tar      /mnt/old   fuse.fusesg  noauto,x-systemd.automount      0  0
  mypackage.s3:Bucket  /mnt/s3    fuse.fusesg  set.name=photos,allow_other,nofail  0  0

A relative SOURCE is sought where mount(8) is run; the module of a class where this
installation finds its modules, but not in the working directory.

examples:
  fusesg install-helper
  fusesg install-helper --uninstall
  fusesg install-helper --prefix build/root      for packagers: below another root
"""

_UMOUNT = """\
Only mounts of fusesg are unmounted, unless --force says otherwise.

examples:
  fusesg umount /mnt
  fusesg umount --lazy /mnt    in use: hide it now, end it with its last user; also
                               for a mount whose server has died
"""

_STATISTICS = """\
Tells what a mount has done since it was made: for each operation how often it came,
how many errors and bytes, and how long it took (of many, one in eight is timed); for
methods in Python how long they waited for the interpreter lock (GIL) and how long they
ran (call). A thread of the server's tells it that needs neither, also while all methods
hang. Only root and the user who serves the mount may ask. Without MOUNTPOINT:
all mounts.

examples:
  fusesg statistics /mnt
  fusesg statistics /mnt --json | jq .operations.read.latency.p99
  fusesg statistics --prometheus --output /var/lib/node_exporter/fusesg.prom
                               for the textfile collector; by cron or a timer
"""

_TOP = """\
Shows what a mount does, each second anew: operations and bytes per second, how long
they take (p50 is what half of them do not exceed, p99 what 99 of 100 do not), how long
methods in Python wait for the interpreter lock (GIL) and how long they run (call), the
oldest request, threads, buffers and pipes. Without MOUNTPOINT: a line for each mount,
or the only one. Ctrl-C or q ends it; it ends by itself when the mount does. A narrow
terminal has fewer columns.

examples:
  fusesg top
  fusesg top /mnt
  fusesg top /mnt --interval 5
  fusesg top /mnt --once > now.txt       one table, of one second
"""

_DEMO = """\
Packs the running Python's standard library into a tar, serves the tar through a Python
class and compares every file; copies a tree into writable file systems and compares it
back; measures scattered reads and writes. Exits with 0 only if everything was equal.

examples:
  fusesg demo
  fusesg demo --quick          a part of the files and a short measurement
"""

_DOCTOR = """\
Each line is one check: OK, WARN (works, but something is slower or missing) or FAIL
(mounting will not work), with what to do about it. Exits with 1 if one has failed.

examples:
  fusesg doctor
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: The command line without the program's name; None is `sys.argv`.

    Returns:
        The exit status: 0 for success, 1 for an error, which has been told on stderr,
        2 for a command line that cannot be understood, 130 after Ctrl-C, 141 if nobody
        reads what is printed any more, as after `fusesg config | head`.
    """
    try:
        try:
            return _main(arguments)
        finally:
            # at the end of the interpreter nothing can be said about an error any more
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        if not _has_lost_its_reader():
            raise
        # what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _main(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except CommandError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            raise error.__cause__ from None
        print(f"fusesg {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"fusesg {options.command}: interrupted", file=sys.stderr)
        return 130


def _has_lost_its_reader() -> bool:
    """Whether it is stdout that is broken, not a pipe to one of our own processes."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def _run(options: argparse.Namespace) -> int:
    # each is imported when needed: `fusesg umount` need not wait for what the demo uses
    match options.command:
        case "mount":
            from fusesg.cli import _mount

            return _mount.run(options)
        case "config":
            from fusesg.cli import _configuration

            return _configuration.run(options)
        case "install-helper":
            from fusesg.cli import _install_helper

            return _install_helper.run(options)
        case "statistics":
            from fusesg.cli.live import _statistics

            return _statistics.run(options)
        case "top":
            from fusesg.cli.live import _top

            return _top.run(options)
        case "umount":
            from fusesg.cli import _umount

            return _umount.run(options)
        case "demo":
            from fusesg.cli import demo

            return demo.run(quick=options.quick)
        case "bench":
            if options.benchmark == "peers":
                from fusesg.cli.bench import peers

                return peers.run(options)
            from fusesg.cli import bench

            return bench.run(options)
        case _:
            from fusesg.cli import _doctor

            return _doctor.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fusesg",
        description="Write a file system in Python; Rust moves the bytes.",
        epilog=_PROGRAM,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"fusesg {fusesg.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )

    def command(
        name: str, summary: str, epilog: str, among: Commands = commands
    ) -> argparse.ArgumentParser:
        return among.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    mount = command("mount", "mount a directory, memory, an archive or a class", _MOUNT)
    mount.add_argument("source", metavar="SOURCE", help="what to mount, see below")
    mount.add_argument(
        "mountpoint", metavar="MOUNTPOINT", help="existing directory (or file)"
    )
    _add_settings(mount)
    mount.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="argument of the class's constructor; may be repeated",
    )
    mount.add_argument(
        "-f", "--foreground", action="store_true", help="serve until Ctrl-C"
    )
    mount.add_argument(
        "--trace", action="store_true", help="log every operation and its answer"
    )
    mount.add_argument(
        "--metrics",
        metavar="HOST:PORT",
        help="let Prometheus ask there for the numbers, as 127.0.0.1:9100",
    )
    mount.add_argument(
        "--log-file",
        metavar="FILE",
        help="append the log to FILE; in the background it goes nowhere otherwise",
    )
    mount.add_argument(
        "--show-config",
        action="store_true",
        help="show all settings and where each comes from, and do not mount",
    )

    config = command("config", "show settings, and where each comes from", _CONFIG)
    config.add_argument(
        "fields", metavar="NAME", nargs="*", help="explain this setting instead"
    )
    _add_settings(config)
    config.add_argument("--json", action="store_true", help="JSON rather than a table")

    umount = command("umount", "unmount a mount of fusesg", _UMOUNT)
    umount.add_argument("mountpoint", metavar="MOUNTPOINT")
    umount.add_argument(
        "-l", "--lazy", action="store_true", help="also if it is in use: detach it"
    )
    umount.add_argument(
        "--force", action="store_true", help="also if it is no mount of fusesg"
    )

    _add_live(command)

    helper = command(
        "install-helper", "let mount(8) and /etc/fstab use fusesg", _INSTALL_HELPER
    )
    helper.add_argument(
        "--prefix", metavar="DIR", default="/", help="below this directory; default: /"
    )
    helper.add_argument("--uninstall", action="store_true", help="take it away instead")

    demo = command("demo", "see it work, compared and measured", _DEMO)
    demo.add_argument("--quick", action="store_true", help="less of everything")

    command("doctor", "check what this machine allows", _DOCTOR)
    _bench_arguments.add(command)
    return parser


def _add_live(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands that show numbers of mounts."""
    statistics = command("statistics", "tell what a mount has done so far", _STATISTICS)
    statistics.add_argument("mountpoint", metavar="MOUNTPOINT", nargs="?")
    form = statistics.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON rather than a table")
    form.add_argument(
        "--prometheus", action="store_true", help="the text that Prometheus reads"
    )
    statistics.add_argument(
        "--output", metavar="FILE", help="replace FILE, rather than write to stdout"
    )

    top = command("top", "show what a mount does now", _TOP)
    top.add_argument("mountpoint", metavar="MOUNTPOINT", nargs="?")
    top.add_argument(
        "--interval",
        metavar="SECONDS",
        type=float,
        default=1.0,
        help="time between two looks; default: 1",
    )
    top.add_argument("--once", action="store_true", help="print one table and end")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that make the settings of a mount."""
    parser.add_argument(
        "-o",
        dest="options",
        metavar="OPT[,OPT...]",
        action="append",
        default=[],
        help="mount options, see below; may be repeated",
    )
    parser.add_argument("--config", metavar="FILE", help="a TOML file of settings")
    parser.add_argument(
        "--profile", metavar="NAME", help=f"one of {', '.join(PROFILES)}"
    )

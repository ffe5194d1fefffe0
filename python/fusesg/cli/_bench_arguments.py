"""What the command line may say after `fusesg bench`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import TypeAlias

    # the only name that argparse gives to what add_subparsers() returns
    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001

_BENCH = """\
examples:
  fusesg bench seeds           a minute of measuring, a table
  fusesg bench peers           minutes; beside pyfuse3, mfusepy, fusepy and libfuse
  fusesg bench peers --help
"""

_BENCH_SEEDS = """\
Shows each part of the scatter-gather core before and after:
  packing-mount    32 scattered segments of 4 KiB, a request for each or one request,
                   through the kernel, against one contiguous segment
  packing-client   the same in process, without a mount
  splice           large reads of a file, copied or spliced, and spliced with its pages
                   offered to the kernel or not
  pipe-lists       4K to 1M out of four pipes or sockets, against merging them into one
                   pipe or copying them
  completion       one read in process in 1 to 16 requests, in turn or all at once
Every way is checked byte by byte and its requests are counted before it is measured, in
rounds in which all ways take turns. Client and server run on one CPU, so that waking a
sleeping CPU is not what is measured; --cpu chooses it.

examples:
  fusesg bench seeds
  fusesg bench seeds --plot seeds.svg
  fusesg bench seeds --json > seeds.json
  fusesg bench seeds --quick --only packing-mount
"""

_BENCH_PEERS = """\
Does the same I/O on fusesg and on others of its kind, as far as they are installed:
  fusesg-native  fusesg.Passthrough, without Python
  fusesg-class   a class of fusesg: every operation, and all bytes, through Python
  libfuse-splice, libfuse-copy, libfuse-single
                 libfuse's passthrough_hp, in C++: as it comes, copying, and copying in
                 one thread; found on PATH, or by --libfuse
  pyfuse3, mfusepy, fusepy
                 each with a program of its own that does what ours does; found in
                 this Python, or in one that is named by --python
What is missing is told, with the commands that install it:
  pip install 'fusesg[peers]'

Each system has a copy of the same files in memory. Before anything is measured all its
files are compared with those behind, and each kind of I/O is done once and looked at;
all files are compared once more at the end. Then all systems take turns in rounds, and
medians are shown: higher is better. One that crashes, hangs or gives wrong bytes is
marked, its mount removed, and the others go on; the exit status is then 1.

Where client and server take turns they run on one CPU, so that waking a sleeping CPU is
not what is measured (--cpu chooses it); with 32 requests at a time, and where the
kernel reads ahead, they run on all. The client is a program of ours that uses the
kernel's asynchronous I/O: no more of it is needed to load a server written in C.

The default takes about 5 minutes with all systems. Parts can be measured one by one and
put together later; the samples of what is in several are joined:
  fusesg bench peers --rows depth --json > depth.json
  fusesg bench peers --rows create --rows stat --json > names.json
  fusesg bench peers --from depth.json --from names.json --plot peers.svg

examples:
  fusesg bench peers
  fusesg bench peers --plot peers.svg --json > peers.json
  fusesg bench peers --systems fusesg,pyfuse3 --python ~/venv/bin/python
  fusesg bench peers --systems libfuse --libfuse build/example/passthrough_hp
  fusesg bench peers --quick
"""


class MakeCommand(Protocol):
    """Adds a command to those of the parser, or to others."""

    def __call__(
        self, name: str, summary: str, epilog: str, among: Commands = ...
    ) -> argparse.ArgumentParser:
        """Returns its parser."""


def add(command: MakeCommand) -> None:
    """Adds `bench`.

    Args:
        command: Makes a command.
    """
    bench = command("bench", "measure fusesg, and compare it", _BENCH)
    kinds = bench.add_subparsers(
        dest="benchmark", required=True, metavar="BENCHMARK", title="benchmarks"
    )
    _add_seeds(command("seeds", "measure what the core does", _BENCH_SEEDS, kinds))
    _add_peers(
        command("peers", "measure beside others of its kind", _BENCH_PEERS, kinds)
    )


def _add_seeds(seeds: argparse.ArgumentParser) -> None:
    _add_output(seeds)
    seeds.add_argument(
        "--only",
        metavar="GROUP",
        action="append",
        help="measure this group, see below; may be repeated",
    )
    seeds.add_argument(
        "--cpu", metavar="N", help="the CPU for client and server; none: any"
    )
    seeds.add_argument("--quick", action="store_true", help="a trial, no measurement")


def _add_peers(peers: argparse.ArgumentParser) -> None:
    _add_output(peers)
    peers.add_argument(
        "--systems",
        metavar="NAME[,NAME...]",
        help="only these, see below, or libraries; default: all that are installed",
    )
    peers.add_argument(
        "--rows",
        metavar="TEXT",
        action="append",
        default=[],
        help="only the row of this name, or those with it in theirs; may be repeated",
    )
    peers.add_argument(
        "--rounds",
        metavar="N",
        type=_count,
        help="how often they take turns; default: 5",
    )
    peers.add_argument(
        "--seconds", metavar="S", type=_seconds, help="of each sample; default: 0.2"
    )
    peers.add_argument(
        "--cpu",
        metavar="N",
        help="the CPU where client and server take turns; none: any",
    )
    peers.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        default=60.0,
        help="seconds for an answer, after which a system hangs; default: 60",
    )
    peers.add_argument(
        "--python",
        metavar="FILE",
        action="append",
        default=[],
        help="another Python, with pyfuse3, mfusepy or fusepy; may be repeated",
    )
    peers.add_argument(
        "--libfuse", metavar="FILE", help="libfuse's passthrough_hp; default: on PATH"
    )
    peers.add_argument(
        "--baseline",
        metavar="NAME",
        help="what is 1 in the table of ratios: a system, or the fastest of a library; "
        "default: libfuse",
    )
    peers.add_argument(
        "--from",
        dest="results",
        metavar="FILE",
        action="append",
        default=[],
        help="show results of --json, do not measure; may be repeated",
    )
    peers.add_argument("--quick", action="store_true", help="a trial, no measurement")


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plot", metavar="FILE", help="write a chart; .png or .svg")
    parser.add_argument(
        "--json", action="store_true", help="JSON on stdout rather than the table"
    )


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no whole number") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time to wait")
    return value

"""The dashboard of the benchmarks: `python scripts/dashboard build`, `serve`, `check`.

- `build` publishes the results in `.asv/results` and in `benchmarks/history` into
  `.asv/html`. Needs no network, and the pages need none either.
- `serve` shows them to browsers on this machine.
- `check` opens them in a headless browser and looks whether all of it is drawn.
- `keep` copies the results of this machine into `benchmarks/history`, which is part of
  the repository.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import libraries
import results
import serve
from build import CONFIG, HISTORY, build, keep
from check import check
from errors import DashboardError

ROOT = Path(__file__).resolve().parents[2]
PORT = 8082


def main() -> int:
    """Does what the command line asks for."""
    options = _parser().parse_args()
    try:
        status: int = options.command(options)
    except DashboardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dashboard", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="the checkout (default: this one)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("build", help="publish the results")
    command.add_argument(
        "--share",
        type=Path,
        default=libraries.SHARE,
        metavar="DIRECTORY",
        help=f"where the libraries are installed (default: {libraries.SHARE})",
    )
    command.set_defaults(command=_build)
    command = commands.add_parser("serve", help="show them to a browser, until Ctrl-C")
    command.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}")
    command.set_defaults(command=_serve)
    command = commands.add_parser("check", help="open them in a headless browser")
    command.add_argument(
        "--pictures", type=Path, metavar="DIRECTORY", help="where to put PNGs of them"
    )
    command.set_defaults(command=_check)
    command = commands.add_parser("keep", help="put results into the repository")
    command.add_argument(
        "--machine", required=True, metavar="NAME", help="what to call this machine"
    )
    command.set_defaults(command=_keep)
    return parser


def _build(options: argparse.Namespace) -> int:
    site = build(options.root.resolve(), options.share.resolve())
    print(f"The dashboard is in {site}; make dashboard-serve shows it to a browser")
    return 0


def _serve(options: argparse.Namespace) -> int:
    with serve.server(_site(options), options.port) as server:
        print(f"Open {serve.address(server)} in a browser; Ctrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def _check(options: argparse.Namespace) -> int:
    visit = check(_site(options), options.pictures)
    for finding in visit.findings:
        print(finding)
    print(f"{visit.views} views, {len(visit.findings)} findings")
    return 1 if visit.findings else 0


def _keep(options: argparse.Namespace) -> int:
    kept = keep(options.root.resolve(), options.machine)
    print(f"{HISTORY}/{options.machine} has results of {kept} commits")
    return 0


def _site(options: argparse.Namespace) -> Path:
    root: Path = options.root.resolve()
    return root / str(results.read(root / CONFIG).get("html_dir", "html"))


if __name__ == "__main__":
    sys.exit(main())

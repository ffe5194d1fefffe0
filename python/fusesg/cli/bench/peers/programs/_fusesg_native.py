"""fusesg's native `Passthrough`: no Python but to start it."""

from __future__ import annotations

import sys

import fusesg


def main() -> None:
    """Serves until it is unmounted."""
    source, mountpoint = sys.argv[1:]
    fusesg.serve(fusesg.Passthrough(source), mountpoint)


if __name__ == "__main__":
    main()

"""The command `fusesg`; each subcommand has a module."""

from fusesg.cli._arguments import main

__all__ = ["main"]

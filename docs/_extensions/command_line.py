"""The reference of the command line, from its parser: directive `command-line`."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from sphinx.util.docutils import SphinxDirective

import fusesg.cli._arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx


def commands(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[argparse.ArgumentParser, int]]:
    """A parser and those of its subcommands, with their depth."""

    def walk(
        each: argparse.ArgumentParser, depth: int
    ) -> Iterator[tuple[argparse.ArgumentParser, int]]:
        yield each, depth
        for action in each._actions:  # noqa: SLF001 - there is no public way
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
                # an alias is another name of the same parser
                for below in dict.fromkeys(action.choices.values()):
                    yield from walk(below, depth + 1)

    yield from walk(parser, 0)


def render(parser: argparse.ArgumentParser, depth: int) -> Iterator[str]:
    """One command as Markdown."""
    yield f"{'#' * (2 + min(depth, 1))} {parser.prog}\n"
    if parser.description:
        yield f"{parser.description}\n"
    usage = re.sub(r"^usage: ", "", parser.format_usage())
    usage = re.sub(r"\n +", "\n    ", usage.rstrip())
    yield f"```text\n{usage}\n```\n"
    for action in parser._actions:  # noqa: SLF001 - there is no public way
        if action.help in {None, argparse.SUPPRESS} or action.dest == "help":
            continue
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        value = action.metavar or action.dest.upper()
        if action.option_strings:
            takes = "" if action.nargs == 0 else f" {value}"
            names = ", ".join(f"`{name}{takes}`" for name in action.option_strings)
        else:
            names = f"`{value}`"
        yield f"- {names}: {_escape(action.help % vars(action))}"
    yield ""
    if parser.epilog:
        yield f"```text\n{parser.epilog.strip()}\n```\n"


def _escape(text: str) -> str:
    return re.sub(r"([*_<>\[\]])", r"\\\1", text)


class CommandLineDirective(SphinxDirective):
    """Shows the command and all subcommands, with sections."""

    def run(self) -> list[nodes.Node]:
        """Parses the generated text where the directive stands."""
        self.env.note_dependency(fusesg.cli._arguments.__file__)  # noqa: SLF001
        parser = fusesg.cli._arguments._parser()  # noqa: SLF001
        text = "\n".join(
            line for each, depth in commands(parser) for line in render(each, depth)
        )
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    app.add_directive("command-line", CommandLineDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

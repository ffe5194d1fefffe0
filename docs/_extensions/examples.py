"""The programs in examples/ and what they say about themselves: `examples`."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx

EXAMPLES = Path(__file__).parents[2] / "examples"


def programs() -> list[Path]:
    """All of them, by name."""
    return sorted(EXAMPLES.glob("*.py"))


def render(program: Path) -> Iterator[str]:
    """One program as Markdown: a section with its docstring and its code."""
    source = program.read_text(encoding="utf-8")
    module = ast.parse(source)
    first = module.body[0]
    yield f"## {program.name}\n"
    yield f"{ast.get_docstring(module)}\n"
    code = "".join(source.splitlines(keepends=True)[first.end_lineno :]).strip("\n")
    yield f"```````python\n{code}\n```````\n"


class Examples(SphinxDirective):
    """Shows every program in a section of its own."""

    def run(self) -> list[nodes.Node]:
        """Parses the generated text where the directive stands."""
        text = []
        for program in programs():
            self.env.note_dependency(str(program))
            text += render(program)
        return self.parse_text_to_nodes("\n".join(text), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    app.add_directive("examples", Examples)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

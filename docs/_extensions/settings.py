"""All settings of a mount, from the fields of `Config`: directive `settings-table`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphinx.util.docutils import SphinxDirective

from fusesg._config import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx


def rows() -> Iterator[str]:
    """The table as Markdown."""
    yield "| setting | default | may be |"
    yield "|---|---|---|"
    for name, setting in SETTINGS.items():
        allowed = setting.allowed.replace("|", r"\|")
        yield f"| `Config.{name}` | `{setting.default!r}` | {allowed} |"


class SettingsTable(SphinxDirective):
    """Shows the table; each name leads to what is said about the setting."""

    def run(self) -> list[nodes.Node]:
        """Parses the generated text where the directive stands."""
        return self.parse_text_to_nodes("\n".join(rows()))


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    app.add_directive("settings-table", SettingsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

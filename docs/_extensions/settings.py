"""All settings of a mount, from the fields of `Config`.

The directive `settings-table` shows them, `profiles` what the profiles set.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sphinx.util.docutils import SphinxDirective

import fusesg
from fusesg._config_fields import setting_of
from fusesg._config_profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx

FIELDS = {field.name: field for field in dataclasses.fields(fusesg.Config)}


def rows() -> Iterator[str]:
    """The table as Markdown."""
    yield "| setting | default | may be |"
    yield "|---|---|---|"
    for field in FIELDS.values():
        setting = setting_of(field)
        allowed = setting.allowed.replace("|", r"\|")
        default = setting.written(setting.default)
        yield f"| `Config.{field.name}` | `{default}` | {allowed} |"


def profiles() -> Iterator[str]:
    """What each profile sets, as Markdown."""
    for name, profile in PROFILES.items():
        values = [
            f"`{setting}={setting_of(FIELDS[setting]).written(value)}`"
            for setting, value in profile.values.items()
        ]
        yield f"- **{name}**: {profile.purpose}. {', '.join(values)}"


class ProfileList(SphinxDirective):
    """Shows the profiles."""

    def run(self) -> list[nodes.Node]:
        """Parses the generated text where the directive stands."""
        return self.parse_text_to_nodes("\n".join(profiles()))


class SettingsTable(SphinxDirective):
    """Shows the table; each name leads to what is said about the setting."""

    def run(self) -> list[nodes.Node]:
        """Parses the generated text where the directive stands."""
        return self.parse_text_to_nodes("\n".join(rows()))


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    app.add_directive("profiles", ProfileList)
    app.add_directive("settings-table", SettingsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Names in code font that are in the reference lead there, on every page.

So a page says `Fetch` or `Mount.unmount` as it would on the repository host, and needs
no role that only Sphinx understands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx import addnodes
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

NAME = re.compile(r"(?:fusesg\.)?([A-Za-z_][\w.]*?)(?:\(\))?")

# Where a name that is no attribute of the package is looked for; of a method that
# several classes have, the first one's is meant.
CLASSES = ("Config", "Mount")

NOT_WITHIN = (nodes.reference, nodes.title, addnodes.desc_signature, nodes.term)


def candidates(text: str, within: str | None) -> Iterator[str]:
    """The full names that a text may stand for, the likeliest first."""
    match = NAME.fullmatch(text)
    if not match:
        return
    name = match[1]
    if within:
        yield f"{within}.{name}"
    yield f"fusesg.{name}"
    yield f"fusesg.testing.{name}"
    if "." not in name and (len(name) > 6 or "_" in name):  # noqa: PLR2004
        yield from (f"fusesg.{each}.{name}" for each in CLASSES)


def class_around(node: nodes.Node) -> str | None:
    """The class in whose description a node is."""
    while node := node.parent:
        if isinstance(node, addnodes.desc) and node["objtype"] == "class":
            ids = node.next_node(addnodes.desc_signature)["ids"]
            return ids[0] if ids else None
    return None


def may_link(node: nodes.Node, page: str) -> bool:
    """Whether there may be a link at a node."""
    below = node
    while node := node.parent:
        if isinstance(node, NOT_WITHIN):
            return False
        # the first column of a guide for porting has the names of another library
        is_port = page.startswith("guides/from-")
        if is_port and isinstance(node, nodes.row) and node.index(below) == 0:
            return False
        below = node
    return True


def link(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Makes links of the names on one page."""
    objects = app.env.domains.python_domain.objects
    for literal in list(tree.findall(nodes.literal)):
        if not may_link(literal, page):
            continue
        for name in candidates(literal.astext(), class_around(literal)):
            if found := objects.get(name):
                reference = make_refnode(
                    app.builder, page, found.docname, found.node_id, literal.deepcopy()
                )
                literal.replace_self(reference)
                break


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

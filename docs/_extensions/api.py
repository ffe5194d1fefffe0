"""The reference of the Python API, made from the sources: the directive `api`.

The docstrings are Markdown with Google's sections. They are in python/fusesg for what
is written in Python, and in its stubs for the extension module. griffe reads both,
without importing anything; what it finds is written as Markdown again, with the
directives of Sphinx's Python domain around it.

    ```{api} fusesg.Attributes fusesg.Entry
    ```

shows these objects with all that they document. A public name that no page shows is a
warning, and with it an error of `make docs`.
"""

from __future__ import annotations

import logging as standard_logging
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import griffe
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

SOURCES = Path(__file__).parents[2] / "python"

MODULES = ("fusesg", "fusesg.archive", "fusesg.testing")
"""Those whose `__all__` is public."""

# What a reader need not know of an annotation: that any integer will do, and the names
# that stubs have for longer types.
SIMPLER = {
    "SupportsIndex": "int",
    "_StrOrBytesPath": "StrPath",
    "_Handle": "Any",
    "_Answer": "Answer",
    "_Path": "str",
    "Unpack[ConfigOptions]": "Any",
}

logger = logging.getLogger(__name__)


@cache
def package() -> griffe.Module:
    """The package, parsed once for all pages."""
    # it knows parameters of __init__ but not of __new__, and would complain
    standard_logging.getLogger("griffe").setLevel(standard_logging.ERROR)
    loaded = griffe.load(
        "fusesg",
        search_paths=[SOURCES],
        allow_inspection=False,
        try_relative_path=False,
        docstring_parser="google",
        docstring_options={
            "returns_named_value": False,
            "returns_multiple_items": False,
        },
    )
    assert isinstance(loaded, griffe.Module)
    return loaded


def find(name: str) -> griffe.Object:
    """What a public name stands for, wherever it is defined."""
    found = package()[name.removeprefix("fusesg.")]
    return found.final_target if isinstance(found, griffe.Alias) else found


def render(name: str) -> str:
    """One object and its members, as Markdown for Sphinx."""
    module, _, short = name.rpartition(".")
    return "\n".join(_object(find(name), short, module, depth=6))


def _object(
    which: griffe.Object, name: str, module: str, depth: int, *, member: bool = False
) -> Iterator[str]:
    """The directive of one object; `depth` colons, so that members fit in."""
    fence = ":" * depth
    yield f"{fence}{{py:{_directive(which, member=member)}}} {_signature(which, name)}"
    yield f":module: {module}"
    if isinstance(which, griffe.Attribute) and which.annotation and member:
        yield f":type: {_simple(str(which.annotation))}"
    if isinstance(which, griffe.Function):
        flags = {"async": "async", "staticmethod": "static", "classmethod": "class"}
        labels = which.labels & flags.keys() if member else which.labels & {"async"}
        option = {"async": "async", "staticmethod": "staticmethod"}
        yield from (f":{option.get(label, label)}:" for label in sorted(labels))
    yield ""
    yield from _documentation(which, name, module, fence[1:])
    for each in members(which):
        inner = f"{name}.{each.name}"
        yield from _object(each, inner, module, depth - 1, member=True)
    yield f"{fence}\n"


def _directive(which: griffe.Object, *, member: bool) -> str:
    if isinstance(which, griffe.Class):
        exception = any("Error" in str(base) for base in which.bases)
        return "exception" if exception else "class"
    if isinstance(which, griffe.Function):
        return "method" if member else "function"
    if "property" in which.labels:
        return "property"
    return "attribute" if member else "data"


def members(which: griffe.Object) -> list[griffe.Object]:
    """The public members that have documentation of their own.

    Those that a class of the package has from its native half are its own; those that
    it has from another public class are described there.
    """
    if not isinstance(which, griffe.Class):
        return []
    halves = [which]
    for base in which.bases:
        if str(base) == f"_core.{which.name}":
            half = package()["_core"][which.name]
            assert isinstance(half, griffe.Class)
            halves.append(half)
    found: dict[str, griffe.Object] = {}
    listed = set(_listed_attributes(which))
    for half in halves:
        for each in half.members.values():
            if each.is_alias or each.name.startswith("_") or each.name in listed:
                continue
            assert isinstance(each, griffe.Object)
            if each.docstring:
                found.setdefault(each.name, each)
    return list(found.values())


# Signatures


def _signature(which: griffe.Object, name: str) -> str:
    if isinstance(which, griffe.Class):
        maker = which.members.get("__init__") or which.members.get("__new__")
        if not isinstance(maker, griffe.Function) or _is_made_elsewhere(which):
            return name
        return f"{name}({_parameters(maker)})"
    if isinstance(which, griffe.Function):
        returns = f" -> {_simple(str(which.returns))}" if which.returns else ""
        return f"{name}({_parameters(which)}){returns}"
    return name


def _is_made_elsewhere(which: griffe.Class) -> bool:
    """Whether the constructor takes an object of the core: no program calls it."""
    maker = which.members.get("__init__")
    return isinstance(maker, griffe.Function) and any(
        "_core." in str(parameter.annotation) for parameter in maker.parameters
    )


def _parameters(function: griffe.Function) -> str:
    """The parameters, without the first of a method."""
    parts: list[str] = []
    kinds = griffe.ParameterKind
    star = False
    parameters = list(function.parameters)
    if function.parent and function.parent.is_class and parameters:
        parameters = parameters[0 if "staticmethod" in function.labels else 1 :]
    for index, parameter in enumerate(parameters):
        kind = parameter.kind
        if kind is kinds.keyword_only and not star:
            parts.append("*")
            star = True
        star = star or kind is kinds.var_positional
        prefix = {kinds.var_positional: "*", kinds.var_keyword: "**"}.get(kind, "")
        text = prefix + parameter.name
        if parameter.annotation is not None:
            text += f": {_simple(str(parameter.annotation))}"
        if parameter.default is not None and not prefix:
            text += f" = {parameter.default}"
        parts.append(text)
        after = parameters[index + 1].kind if index + 1 < len(parameters) else None
        if kind is kinds.positional_only and after is not kinds.positional_only:
            parts.append("/")
    return ", ".join(parts)


def _simple(annotation: str) -> str:
    # that every method may be async is said once, in the class's docstring
    annotation = re.sub(r"^MaybeAwaitable\[(.*)\]$", r"\1", annotation)
    for long, short in SIMPLER.items():
        annotation = re.sub(rf"(?<![\w.]){re.escape(long)}(?!\w)", short, annotation)
    return annotation.replace("builtins.", "")


# Docstrings


# What a section of Google's style becomes: a field for each of its items.
FIELDS = {
    griffe.DocstringSectionKind.parameters: "param {0.name}",
    griffe.DocstringSectionKind.returns: "returns",
    griffe.DocstringSectionKind.yields: "returns",
    griffe.DocstringSectionKind.raises: "raises {0.annotation}",
}


def _documentation(
    which: griffe.Object, name: str, module: str, fence: str
) -> Iterator[str]:
    """The sections of a docstring, as text, field lists and attributes."""
    for section in which.docstring.parsed if which.docstring else ():
        if section.kind is griffe.DocstringSectionKind.text:
            yield section.value
        elif section.kind is griffe.DocstringSectionKind.attributes:
            for item in section.value:
                yield f"{fence}{{py:attribute}} {name}.{item.name}"
                yield f":module: {module}"
                if item.annotation:
                    yield f":type: {_simple(str(item.annotation))}"
                yield f"\n{item.description}\n{fence}\n"
        elif section.kind in FIELDS:
            for item in section.value:
                first, *more = item.description.strip().splitlines()
                yield f":{FIELDS[section.kind].format(item)}: {first}"
                yield from (f"    {line}" for line in more)
        else:
            logger.warning("%s: no way to show %s", which.path, section.kind.value)
        yield ""


def _listed_attributes(which: griffe.Object) -> Iterator[str]:
    """Attributes that the docstring of a class describes."""
    for section in which.docstring.parsed if which.docstring else ():
        if section.kind is griffe.DocstringSectionKind.attributes:
            yield from (item.name for item in section.value)


# Sphinx


class ApiDirective(SphinxDirective):
    """Shows the objects that its arguments name."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = False
    option_spec: ClassVar[dict[str, object]] = {}

    def run(self) -> list[nodes.Node]:
        """Parses the generated text where the directive stands."""
        names = self.arguments[0].split()
        shown = self.env.__dict__.setdefault("fusesg_shown", {})
        shown.setdefault(self.env.docname, set()).update(names)
        for path in sorted((SOURCES / "fusesg").rglob("*.py*")):
            self.env.note_dependency(str(path))
        text = "\n".join(render(name) for name in names)
        return self.parse_text_to_nodes(text, allow_section_headings=False)


def public_names() -> Iterator[str]:
    """What the public modules export."""
    for module in MODULES:
        which = package() if module == "fusesg" else package()[module[7:]]
        assert isinstance(which, griffe.Module)
        for name in which.exports or ():
            if not str(name).startswith("__"):
                yield f"{module}.{name}"


def forget_page(_: Sphinx, env: BuildEnvironment, page: str) -> None:
    """What a page showed that is read again."""
    env.__dict__.setdefault("fusesg_shown", {}).pop(page, None)


def merge_pages(
    _: Sphinx, env: BuildEnvironment, pages: Iterable[str], other: BuildEnvironment
) -> None:
    """What pages showed that another process has read."""
    theirs = other.__dict__.get("fusesg_shown", {})
    ours = env.__dict__.setdefault("fusesg_shown", {})
    ours.update({page: theirs[page] for page in pages if page in theirs})


def check_complete(_: Sphinx, env: BuildEnvironment) -> None:
    """Warns of public names that no page shows."""
    pages = env.__dict__.get("fusesg_shown", {})
    shown = {name for names in pages.values() for name in names}
    for name in public_names():
        if name not in shown:
            logger.warning("%s is public, but on no page of docs/reference", name)


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    app.add_directive("api", ApiDirective)
    app.connect("env-purge-doc", forget_page)
    app.connect("env-merge-info", merge_pages)
    app.connect("env-check-consistency", check_complete)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

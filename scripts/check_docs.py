"""Check that the public interface is documented: each argument, and what it counts in.

Walks what `fusesg` and its public modules export, through the facade and, for what
comes from the extension module, through its stub. Prints one line per finding and exits
with status 1 if there is any.

An argument is documented under "Args:" of the function, or of the class for its
constructor; fields of a class that are its settings, under "Attributes:". What all
methods of a class share is named in backticks by a paragraph of the class that begins
in bold letters. A method that overrides another may leave it all to that one.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = Path("python")
MODULES = ["fusesg", "fusesg.archive", "fusesg.testing"]

# What counts something: names of arguments, and what their description has to say.
UNITS = {
    r".*_ns": r"nanosecond|NOW|as `",
    r".*timeout|.*_grace|.*_warning": r"second",
    r"size|length|offset|.*_size|.*_offset": r"byte|next_offset|position after",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Place(NamedTuple):
    """A definition, and the module it is in."""

    module: str
    node: ast.ClassDef | Function

    def __str__(self) -> str:
        """Where a reader finds it."""
        return f"{source(self.module)}:{self.node.lineno}"


# Finding definitions


def source(module: str) -> Path:
    """The file of a module; its stub if it has one."""
    path = SOURCES.joinpath(*module.split("."))
    names = [path / "__init__", path]
    files = [name.with_suffix(suffix) for suffix in (".pyi", ".py") for name in names]
    return next(file for file in files if file.exists())


def parse(module: str, cache: dict[str, ast.Module] = {}) -> ast.Module:  # noqa: B006
    """The syntax tree of a module."""
    if module not in cache:
        cache[module] = ast.parse(source(module).read_text())
    return cache[module]


def exports(module: str) -> list[str]:
    """What `from module import *` gives."""
    for node in parse(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise SystemExit(f"{source(module)} has no __all__")


def find(module: str, name: str) -> Place | None:
    """The class or function that `name` means there; None if it is something else."""
    if "." in name:  # a class of a module, as in `class Tree(_core.Tree)`
        qualifier, name = name.split(".", 1)
        return find(f"fusesg.{qualifier}", name)
    for node in ast.walk(parse(module)):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if node.name == name and node in parse(module).body:
                    return Place(module, node)
            case ast.ImportFrom(module=str(origin)) if origin.startswith("fusesg"):
                for alias in node.names:
                    if name == (alias.asname or alias.name):
                        return find(origin, alias.name)
    return None


def bases(place: Place) -> Iterator[Place]:
    """The class and those of ours that it inherits from, nearest first."""
    yield place
    for base in getattr(place.node, "bases", []):
        try:
            found = find(place.module, ast.unparse(base))
        except StopIteration:
            continue  # of another package
        if found:
            yield from bases(found)


# Reading docstrings


def described(text: str, section: str) -> dict[str, str]:
    """The names that a section of a docstring describes, and what it says of them."""
    found: dict[str, str] = {}
    pattern = rf"^{section}:\n((?: {{4}}.*\n|\n)+)"
    for body in re.findall(pattern, f"{text}\n", re.MULTILINE):
        for entry in re.split(r"^(?=\S)", textwrap.dedent(body), flags=re.MULTILINE):
            name, _, description = entry.partition(":")
            found[name.strip("* \n")] = " ".join(description.split())
    return found


def shared(text: str) -> set[str]:
    """The arguments that a class describes once for all its methods."""
    paragraphs = [part for part in text.split("\n\n") if part.startswith("**")]
    return set(re.findall(r"`(\w+)", " ".join(paragraphs)))


def docstring(node: ast.AST) -> str:
    """The docstring of a class or function, empty if it has none."""
    return ast.get_docstring(node) or ""  # type: ignore[arg-type]


def parameters(function: Function) -> list[str]:
    """The arguments that a caller gives."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [each for each in (arguments.vararg, arguments.kwarg) if each]
    names = [each.arg for each in named]
    return [name for name in names if name not in {"self", "cls", "other"}]


def is_public(function: Function) -> bool:
    """Whether users call it, or define it."""
    decorators = {ast.unparse(each) for each in function.decorator_list}
    return not function.name.startswith("_") and "overload" not in decorators


def is_fixture(function: Function) -> bool:
    """Whether pytest gives the arguments."""
    return any("fixture" in ast.unparse(each) for each in function.decorator_list)


# What is wanting


def missing(where: str, names: list[str], texts: dict[str, str]) -> Iterator[str]:
    """Complain about arguments without a description or a unit."""
    for name in names:
        if name not in texts:
            yield f"{where}: nothing is said about {name}"
            continue
        for pattern, unit in UNITS.items():
            text = texts[name]
            has_unit = re.search(unit, text, re.IGNORECASE)
            if re.fullmatch(pattern, name) and text and not has_unit:
                yield f"{where}: the unit of {name} is not said ({text!r})"


def function_findings(place: Place, name: str, owners: list[Place]) -> Iterator[str]:
    """Check a function, or a method with the classes that may document it."""
    assert isinstance(place.node, Function)
    texts: dict[str, str] = {}
    documented = False
    overridden = [
        each
        for owner in owners
        for each in owner.node.body
        if isinstance(each, Function) and each.name == place.node.name
    ]
    for each in [place.node, *overridden]:
        documented = documented or bool(docstring(each))
        texts = described(docstring(each), "Args") | texts
    for owner in owners:
        texts = dict.fromkeys(shared(docstring(owner.node)), "") | texts
    if not documented:
        yield f"{place}: {name} has no docstring"
    if not is_fixture(place.node):
        yield from missing(f"{place}: {name}", parameters(place.node), texts)


def class_findings(place: Place, name: str) -> Iterator[str]:
    """Check a class: its constructor, its fields, and the methods that it offers."""
    family = list(bases(place))
    seen: set[str] = set()
    for index, owner in enumerate(family):
        text = docstring(owner.node)
        for node in owner.node.body:
            if not isinstance(node, Function) or node.name in seen:
                continue
            seen.add(node.name)
            where = Place(owner.module, node)
            if node.name in {"__init__", "__new__"}:
                if "ade by `" in text:
                    continue  # a constructor that is not for users
                told = described(text, "Args") | described(text, "Attributes")
                names = [each for each in parameters(node) if each != "options"]
                yield from missing(f"{where}: {name}", names, told)
            elif is_public(node):
                yield from function_findings(
                    where, f"{name}.{node.name}", family[index:] + family[:1]
                )
    decorators = [ast.unparse(each) for each in place.node.decorator_list]
    if any(each.startswith("dataclass") for each in decorators):
        fields = [
            node.target.id
            for node in place.node.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        ]
        told = described(docstring(place.node), "Attributes")
        yield from missing(f"{place}: {name}", fields, told)


def findings() -> Iterator[str]:
    """Everything that is wanting."""
    for module in MODULES:
        for name in exports(module):
            match find(module, name):
                case Place(node=ast.ClassDef()) as place:
                    yield from class_findings(place, name)
                case Place() as place:
                    yield from function_findings(place, name, [])


def main() -> int:
    """Check all of it."""
    found = sorted(set(findings()))
    print("\n".join(found) if found else "documentation: nothing is wanting")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

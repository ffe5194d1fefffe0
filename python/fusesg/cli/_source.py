"""What `fusesg mount SOURCE` names, and how it becomes a file system."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fusesg
from fusesg import archive
from fusesg.cli import _memory
from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType, TracebackType


_SOURCES = "a directory, memory:, an archive, module:Class or file.py:Class"


def load(
    source: str, settings: Sequence[str], options: Sequence[str] = ()
) -> fusesg.Filesystem | fusesg.PathFilesystem:
    """Makes the file system that `source` names.

    Args:
        source: A directory, `memory:`, an archive, `module:Class` or `file.py:Class`.
        settings: `key=value` for the constructor.
        options: Those of `-o` that are for `memory:`.

    Returns:
        The file system.

    Raises:
        CommandError: There is no such thing, or the settings do not suit it.
    """
    arguments = dict(_split_setting(setting) for setting in settings)
    if source == _memory.SOURCE:
        if arguments:
            raise CommandError(
                "--set is for classes; memory: takes -o size=1g and so on"
            )
        return _memory.load(options)
    # a directory wins: a colon is allowed in its name
    if os.path.isdir(source):
        passthrough = _construct(fusesg.Passthrough, arguments, positional=[source])
        assert isinstance(passthrough, fusesg.Filesystem)
        return passthrough
    # and so does a file, but for those that have classes in them
    if os.path.isfile(source) and not source.endswith(".py"):
        if arguments:
            raise CommandError(f"--set is for classes; {source} is a file")
        return _open_archive(source)
    module_name, colon, class_name = source.rpartition(":")
    if not colon:
        what = "is not a directory" if os.path.exists(source) else "does not exist"
        which = (
            f"to mount a class in it: {source}:Class"
            if source.endswith(".py") and os.path.exists(source)
            else f"SOURCE is {_SOURCES}"
        )
        raise CommandError(f"{source} {what}; {which}")
    module = _import(module_name)
    try:
        factory = getattr(module, class_name)
    except AttributeError:
        raise CommandError(_no_such_class(module, class_name)) from None
    if not callable(factory):
        raise CommandError(f"{source} is not a class but a {type(factory).__name__}")
    filesystem = _construct(factory, arguments)
    if not isinstance(filesystem, (fusesg.Filesystem, fusesg.PathFilesystem)):
        raise CommandError(
            f"{source} is not a fusesg.Filesystem or fusesg.PathFilesystem"
        )
    return filesystem


def frames_of_the_author(traceback: TracebackType | None) -> TracebackType | None:
    """What is left of a traceback without the way into the code that was named."""
    package = os.path.dirname(fusesg.__file__)
    library = os.path.dirname(importlib.__file__)
    way = (package + os.sep, library + os.sep, "<frozen importlib")
    while traceback and traceback.tb_frame.f_code.co_filename.startswith(way):
        traceback = traceback.tb_next
    return traceback


def _open_archive(source: str) -> fusesg.Tree:
    try:
        return archive.open_archive(source)
    except archive.ArchiveError as error:
        raise CommandError(f"{error}; SOURCE is {_SOURCES}") from None


def _split_setting(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not equals or not key.isidentifier():
        raise CommandError(f"--set {setting}: expected key=value")
    return key, value


def _import(name: str) -> ModuleType:
    """A module by its file or by its name."""
    if not name.endswith(".py"):
        # as `python -m` does: what lies in the working directory can be imported,
        # unless the interpreter was told not to (-P, as it is run by mount(8))
        if not sys.flags.safe_path:
            sys.path.insert(0, os.getcwd())
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # a module that exists but lacks one that it imports is its own story
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise CommandError(f"there is no module {name}") from None
    path = Path(name).absolute()
    if not path.is_file():
        raise CommandError(f"{name} does not exist")
    # not `tar`: a file must not take the place of a module of the standard library
    spec = importlib.util.spec_from_file_location(f"fusesg_source_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look there
    sys.path.insert(0, str(path.parent))  # as `python file.py` does
    spec.loader.exec_module(module)
    return module


def _no_such_class(module: ModuleType, class_name: str) -> str:
    found = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, (fusesg.Filesystem, fusesg.PathFilesystem))
        and value.__module__ == module.__name__
    ]
    has = f"; it has {', '.join(found)}" if found else ""
    return f"{module.__file__} has no {class_name}{has}"


def _construct(
    factory: Any,  # noqa: ANN401 - whatever the module has by that name
    arguments: dict[str, str],
    positional: Sequence[str] = (),
) -> Any:  # noqa: ANN401 - what it makes is checked by the caller
    try:
        signature = inspect.signature(factory)
    except ValueError:  # a class of an extension module that does not tell
        return factory(*positional, **arguments)
    converted = {
        key: _convert(key, value, _annotation(factory, signature, key))
        for key, value in arguments.items()
    }
    _check_names(factory, signature, arguments, positional)
    try:
        signature.bind(*positional, **converted)
    except TypeError as error:
        raise CommandError(
            f"--set does not suit {_name_of(factory)}: {error}; "
            f"{_settable(signature, positional)}"
        ) from None
    return factory(*positional, **converted)


def _check_names(
    factory: object,
    signature: inspect.Signature,
    arguments: dict[str, str],
    positional: Sequence[str],
) -> None:
    """Tells a slip of a name, not that the argument is missing which was meant."""
    parameters = signature.parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return
    for key, value in arguments.items():
        if key not in parameters:
            close = difflib.get_close_matches(key, parameters, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise CommandError(
                f"--set {key}={value}: {_name_of(factory)} has no such argument; "
                f"{hint}{_settable(signature, positional)}"
            )


def _name_of(factory: object) -> str:
    return getattr(factory, "__name__", str(factory))


def _settable(signature: inspect.Signature, positional: Sequence[str]) -> str:
    """What --set may say, for who said something else."""
    parameters = list(signature.parameters.values())[len(positional) :]
    named = [
        f"{parameter.name}={_value_of(parameter)}"
        for parameter in parameters
        if parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}
    ]
    return f"it takes {' '.join(named)}" if named else "it takes no arguments"


def _value_of(parameter: inspect.Parameter) -> str:
    has_default = parameter.default is not parameter.empty
    return f"{parameter.default} (default)" if has_default else "VALUE"


def _annotation(factory: Any, signature: inspect.Signature, key: str) -> object:  # noqa: ANN401
    function = factory
    if isinstance(factory, type):
        function = factory.__init__  # type: ignore[misc] # the class's, no object's
    try:
        return typing.get_type_hints(function).get(key)
    except NameError:  # of something that is imported for type checkers only
        parameter = signature.parameters.get(key)
        return parameter.annotation if parameter else None


def _convert(key: str, value: str, annotation: object) -> object:
    """The value as its annotation wants it; a string where it has none or another."""
    if annotation in {bool, "bool"}:
        words = {"yes": True, "true": True, "1": True, "no": False, "false": False}
        if value.lower() in {*words, "0"}:
            return words.get(value.lower(), False)
        raise CommandError(f"--set {key}={value}: expected yes or no")
    for kind in (int, float, Path):
        if annotation in {kind, kind.__name__}:
            try:
                return kind(value)
            except ValueError:
                what = "an integer" if kind is int else "a number"
                raise CommandError(f"--set {key}={value}: expected {what}") from None
    return value

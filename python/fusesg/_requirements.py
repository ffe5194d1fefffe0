"""Says why fusesg cannot be used here, before something else says it less clearly.

Older Pythons must understand this file: what they complain about is its syntax else.
"""

import sys
import sysconfig


def _check_python() -> None:
    """Refuses what there is no extension module for."""
    if sys.platform != "linux":
        raise ImportError(
            f"fusesg needs Linux and its FUSE kernel interface; this is {sys.platform}"
        )
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.implementation.name != "cpython" or sys.version_info < (3, 11):
        raise ImportError(
            "fusesg needs CPython 3.11 or later; "
            f"this is {sys.implementation.name} {found}, {sys.executable}"
        )
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise ImportError(
            "fusesg needs a Python with the global interpreter lock; this is a "
            f"free-threaded build of CPython {found}, {sys.executable}"
        )


def _import_core() -> None:
    """Imports the extension module, and says in which case it cannot be imported."""
    try:
        import fusesg._core  # noqa: F401, PLC0415 - to see whether it can be
    except ModuleNotFoundError as error:
        if error.name != "fusesg._core":
            raise
        raise ImportError(
            "the extension module fusesg._core is missing: these are sources, or files "
            "for another kind of machine; install a wheel, or build one: "
            "pip install DIRECTORY_OF_PYPROJECT_TOML"
        ) from error
    except ImportError as error:
        # said by Python 3.12 and later, for sub-interpreters that share nothing
        if "subinterpreter" not in str(error):
            raise
        raise ImportError("fusesg works in the main interpreter only") from error


_check_python()
_import_core()

"""Where fusesg cannot work, importing it says so."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import fusesg

SUBINTERPRETER = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

PROGRAM = '''
try:
    import fusesg
except ImportError as error:
    print(error, flush=True)
'''
# with a GIL of its own and without: 3.12 refuses the first before the module is asked
kinds = ["isolated", "legacy"] if hasattr(interpreters, "new_config") else [None]
for kind in kinds:
    interpreter = interpreters.create(*[kind] * (kind is not None))
    interpreters.run_string(interpreter, PROGRAM)
"""


def refusal(prelude):
    """What `import fusesg` says in a process that is made to look like another one."""
    program = f"import sys, sysconfig\n{prelude}\nimport fusesg"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    return done.stderr.splitlines()[-1].removeprefix("ImportError: ")


def test_another_platform():
    assert refusal("sys.platform = 'darwin'") == (
        "fusesg needs Linux and its FUSE kernel interface; this is darwin"
    )


@pytest.mark.parametrize(
    ("prelude", "found"),
    [
        ("sys.version_info = (3, 10, 4, 'final', 0)", "cpython 3.10.4"),
        ("sys.implementation.name = 'pypy'", "pypy {}.{}.{}"),
    ],
)
def test_another_python(prelude, found):
    found = found.format(*sys.version_info)
    assert refusal(prelude) == (
        f"fusesg needs CPython 3.11 or later; this is {found}, {sys.executable}"
    )


def test_a_free_threaded_python():
    said = refusal("sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1")
    assert "needs a Python with the global interpreter lock" in said
    assert sys.executable in said


def test_sources_that_were_not_built(tmp_path):
    source = Path(importlib.util.find_spec("fusesg._requirements").origin)
    package = tmp_path / "fusesg"
    package.mkdir()
    (package / "__init__.py").write_text("from fusesg import _requirements\n")
    (package / source.name).write_text(source.read_text())
    said = refusal(f"sys.path.insert(0, {str(tmp_path)!r})")
    assert said.startswith("the extension module fusesg._core is missing")
    assert "pip install" in said


def test_older_pythons_understand_the_file_that_refuses_them():
    source = Path(fusesg.__file__).with_name("_requirements.py").read_text()
    ast.parse(source, feature_version=(3, 6))


def test_a_subinterpreter():
    done = subprocess.run(
        [sys.executable, "-c", SUBINTERPRETER],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = set(done.stdout.splitlines())
    assert said == {"fusesg works in the main interpreter only"}, done.stderr

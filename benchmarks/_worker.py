"""The process in which benchmarks run when asv does not run them.

Its arguments are the process that asks, and the suites. Each line of its input names a
benchmark and the number of a combination of its parameters, in JSON; a line of JSON
answers. Mounts stay for the next line that wants the same. Its environment says how
much to measure (`_settings.EFFORT`); the fusesg to measure is in PYTHONPATH, or
installed.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

from benchmarks import _mounted
from benchmarks._discovery import benchmarks
from benchmarks._processes import end_with_parent
from benchmarks._settings import NotHere, Unsupported


def main() -> None:
    """Runs what it is told, until there is no more."""
    end_with_parent(int(sys.argv[1]))
    # what a benchmark prints must not be taken for an answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    known = {benchmark.name: benchmark for benchmark in benchmarks(sys.argv[2:])}
    for line in sys.stdin:
        name, case = json.loads(line)
        answer = _run(known[name].run, known[name].parameters[case])
        print(json.dumps(answer), file=answers, flush=True)
    _mounted.close_kept()


def _run(run: object, parameters: tuple[object, ...]) -> dict[str, object]:
    try:
        result = run(*parameters)  # type: ignore[operator]
    except NotHere as error:
        return {"not_here": str(error)}
    except Unsupported as error:
        return {"unsupported": str(error)}
    except Exception:  # noqa: BLE001 - told to who asked
        return {"error": traceback.format_exc()}
    return {"samples": result["samples"]}

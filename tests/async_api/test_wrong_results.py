"""What an async method must not come to: the same as any other method must not."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from pathlib import Path

import pytest


def _cases():
    path = Path(__file__).parents[1] / "inode_api" / "test_wrong_results.py"
    spec = importlib.util.spec_from_file_location(
        "wrong_results_of_plain_methods", path
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLAIN = _cases()


@pytest.mark.parametrize("late", [False, True], ids=["at-once", "late"])
@pytest.mark.parametrize(
    ("method", "returned", "logged"),
    PLAIN.WRONG,
    ids=[f"{method}-{type(returned).__name__}" for method, returned, _ in PLAIN.WRONG],
)
def test_a_wrong_result_is_eio_and_named_in_the_log(
    mounted, mountpoint, fuse_log, method, returned, logged, late
):
    filesystem = PLAIN.Rubbish()
    right, is_wrong = getattr(filesystem, method), True

    async def answer(*arguments):
        if late:
            await asyncio.sleep(0)
        return returned if is_wrong else right(*arguments)

    setattr(filesystem, method, answer)
    with mounted(filesystem):
        with pytest.raises(OSError, match="Input/output error"):
            PLAIN.USES[method](mountpoint)
        fuse_log.wait_for(rf"^Rubbish\.{method} (?s:.*)({logged})")
        is_wrong = False
        assert os.stat(mountpoint / "file").st_ino == PLAIN.FILE

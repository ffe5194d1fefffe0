"""The fixtures notice what a test leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).parents[1] / "conftest.py"

TESTS = """
import logging, os, subprocess, threading
import pytest
import fusesg
from fusesg.examples.hello import Hello

class Broken(Hello):
    def read(self, inode, handle, offset, size, ctx):
        raise ValueError("broken")

def read_broken(path):
    with pytest.raises(OSError):
        path.read_bytes()

kept = []

def test_leaves_nothing(mounted, mountpoint):
    with mounted(Hello()):
        assert (mountpoint / "hello").read_bytes()

def test_leaves_descriptor(mounted, mountpoint):
    with mounted(Hello()):
        kept.append(open(os.devnull))

def test_leaves_thread(mounted, mountpoint):
    threading.Thread(target=threading.Event().wait, daemon=True).start()

def test_leaves_process(mounted, mountpoint):
    kept.append(subprocess.Popen(["sleep", "20"]))

def test_leaves_mount(mounted, mountpoint):
    kept.append(fusesg.mount(Hello(), mountpoint))

def test_logs_unexpected(mounted, mountpoint):
    with mounted(Broken()):
        read_broken(mountpoint / "hello")

def test_logs_expected(mounted, mountpoint, expect_log):
    expect_log("ValueError: broken")
    with mounted(Broken()):
        read_broken(mountpoint / "hello")

def test_logs_nothing_though_expected(mounted, mountpoint, expect_log):
    expect_log("ValueError: broken")
    with mounted(Hello()):
        pass

def test_hangs(run_python):
    run_python("while True: pass", timeout=1)

@pytest.mark.requires("program no-such-program")
def test_skips():
    pass

def test_end():
    kept.pop(1).kill()
    for mount in kept[1:]:
        mount.unmount()
"""


def test_fixtures(tmp_path):
    shutil.copy(CONFTEST, tmp_path)
    # so that what is left behind is waited for but briefly
    conftest = tmp_path / "conftest.py"
    text = conftest.read_text()
    conftest.write_text(text.replace("SETTLE_SECONDS = 5.0", "SETTLE_SECONDS = 0.5"))
    (tmp_path / "test_them.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, "-c", "/dev/null", "--basetemp", tmp_path / "base", tmp_path],
        env={**os.environ, "COLUMNS": "1000"},  # else the summary is cut
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    line = (
        r"(?m)^(PASSED|ERROR|FAILED|SKIPPED).*?(test_\w+|no-such-program)(?: - (.*))?$"
    )
    found = {
        name: (outcome, reason)
        for outcome, name, reason in re.findall(line, result.stdout)
    }
    expected = {
        "test_leaves_nothing": ("PASSED", ""),
        "test_leaves_descriptor": ("ERROR", "left behind: .*descriptor"),
        "test_leaves_thread": ("ERROR", "left behind: .*thread"),
        "test_leaves_process": ("ERROR", "left behind: .*processe.*sleep 20"),
        "test_leaves_mount": ("ERROR", "left behind: .*mount"),
        "test_logs_unexpected": ("ERROR", "unexpected in the log: .*ValueError"),
        "test_logs_expected": ("PASSED", ""),
        "test_logs_nothing_though_expected": ("ERROR", "nothing like"),
        "test_hangs": ("FAILED", "the child hung"),
        "test_end": ("PASSED", ""),
        "no-such-program": ("SKIPPED", ""),
    }
    for name, (outcome, reason) in expected.items():
        assert name in found, result.stdout
        assert found[name][0] == outcome, (name, result.stdout)
        assert re.search(reason, found[name][1]), (name, found[name], result.stdout)

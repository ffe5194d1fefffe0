"""`make bench` where asv is not installed and cannot be."""

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.requires("program cargo", f"file {ROOT / 'scripts' / 'environment.sh'}")
def test_requirements_that_cannot_be_installed(tmp_path):
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name)
    venv.create(tmp_path / ".venv", with_pip=True)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"}
    done = subprocess.run(
        [tmp_path / "scripts" / "environment.sh", "bench"],
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: requirements/bench.txt cannot be installed: pip says why above; "
        "it needs a network, once (make bench-quick goes without it)"
    )

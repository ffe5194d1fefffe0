"""The benchmarks of the Rust core under asv: each runs what it was asked for only."""

import pytest
from benchmarks._settings import Unsupported

from benchmarks import rust_micro

# What a program of criterion leaves of the benchmarks that its last argument matches.
PROGRAM = """#!/bin/sh
for filter; do :; done
mkdir -p "$CRITERION_HOME/it/new"
cd "$CRITERION_HOME/it/new"
echo metrics/clocks | grep -E -q -e "$filter" || exit
echo metrics/clocks-too | grep -E -q -e "$filter" && exit
echo '{"full_id": "metrics/clocks"}' > benchmark.json
echo '{"times": [20, 60], "iters": [2, 4]}' > sample.json
"""


def test_a_benchmark_runs_its_own_program(tmp_path):
    program = tmp_path / "program"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    # another benchmark's program is not looked at
    programs = {"metrics/clocks": program, "iovec/pack": tmp_path / "none"}
    measured = rust_micro.track_metrics_clocks(programs)
    assert measured["samples"] == pytest.approx([10e-9, 15e-9])


def test_a_commit_without_the_benchmark():
    with pytest.raises(Unsupported, match="no benchmark metrics/clocks"):
        rust_micro.track_metrics_clocks({})

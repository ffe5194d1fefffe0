"""The command itself: help, version, doctor, demo."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fusesg


def test_version(fusesg_command):
    assert fusesg_command("--version").stdout == f"fusesg {fusesg.__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        "",
        "mount",
        "umount",
        "statistics",
        "top",
        "config",
        "install-helper",
        "demo",
        "doctor",
        "bench",
        "bench seeds",
    ],
)
def test_help_teaches_by_example(fusesg_command, command):
    result = fusesg_command(*command.split(), "--help")
    assert result.returncode == 0
    assert re.search(r"(?m)^examples:\n  fusesg ", result.stdout)


def test_no_command(fusesg_command):
    result = fusesg_command()
    assert result.returncode == 2
    assert "usage: fusesg" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "mount --help",
        "config",
        "config --json",
        "config metrics",
        "doctor",
        "statistics",
        "statistics --json",
        "top --once --interval 0.1",
        "demo --quick",
        "bench seeds --quick --only packing-client",
    ],
)
def test_nobody_reads_what_is_printed(fusesg_command, command):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as broken:
        result = fusesg_command(
            *command.split(),
            stdout=broken,
            stderr=subprocess.PIPE,
            capture_output=False,
        )
    # argparse itself keeps quiet about what it could not print
    expected = 0 if "--help" in command else 128 + signal.SIGPIPE
    assert (result.returncode, result.stderr) == (expected, "")


def open_files(pid, name):
    descriptors = Path(f"/proc/{pid}/fd").iterdir()
    targets = {Path(os.readlink(descriptor)) for descriptor in descriptors}
    return {target for target in targets if target.name == name}


class TestDoctor:
    @pytest.mark.requires("root")
    def test_healthy(self, fusesg_command):
        result = fusesg_command("doctor")
        assert result.returncode == 0
        assert "OK    /dev/fuse           can be opened" in result.stdout
        for line in result.stdout.splitlines():
            if line.startswith("WARN"):
                after = result.stdout.split(line)[1].lstrip("\n")
                assert after.lstrip().startswith("-> "), f"no remedy for {line}"

    @pytest.mark.requires("root")
    def test_no_device(self, fusesg_command):
        # a mount namespace of its own, in which /dev has no fuse
        script = 'mount -t tmpfs none /dev && exec "$0" -m fusesg doctor'
        result = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, sys.executable],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert result.returncode == 1, result.stderr
        assert re.search(
            r"FAIL  /dev/fuse +does not exist\n +-> modprobe", result.stdout
        )
        assert "Mounting will not work" in result.stdout

    @pytest.mark.requires("root")
    def test_dead_mount(self, fusesg_command, mountpoint, start_python):
        child = start_python(
            """
import os, subprocess, sys
# a FUSE mount whose server goes away at once
fd = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0"
subprocess.run(["mount", "-i", "-t", "fuse.dead", "-o", options, "dead", sys.argv[1]],
               pass_fds=[fd], check=True)
""",
            mountpoint,
        )
        assert child.finish().returncode == 0
        result = fusesg_command("doctor")
        assert f"nobody answers at {mountpoint}" in result.stdout
        assert f"-> fusesg umount --lazy {mountpoint}" in result.stdout

    @pytest.mark.requires("root")
    def test_cpus_that_are_kept_awake(self, fusesg_command):
        device = os.open("/dev/cpu_dma_latency", os.O_RDWR)
        try:
            os.write(device, bytes(4))
            result = fusesg_command("doctor")
        finally:
            os.close(device)
        found = re.search(r"(\w+) +waking a CPU +(.*)", result.stdout)
        assert found.groups() == ("OK", "at most 0 us, by /dev/cpu_dma_latency")

    def test_what_would_make_a_lone_request_quicker(self, fusesg_command):
        result = fusesg_command("doctor")
        status, finding = re.search(
            r"(\w+) +waking a CPU +(.*)", result.stdout
        ).groups()
        if "a lone request takes" in finding:
            assert "-o cpu_affinity=N" in result.stdout
        else:
            assert status == "OK"


class TestDemo:
    def test_quick(self, fusesg_command, mountpoint):
        result = fusesg_command("demo", "--quick", timeout=60)
        assert (result.returncode, result.stderr) == (0, "")
        *_, last = result.stdout.splitlines()
        assert last.startswith("OK: ")
        for label in ("Python callback", "plan", "native Passthrough"):
            assert re.search(rf"(?m)^{label} +read +\d+ .*\dx$", result.stdout)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted_cleans_up(self, number):
        with subprocess.Popen(
            [sys.executable, "-u", "-m", "fusesg", "demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as demo:
            assert demo.stdout is not None
            for line in demo.stdout:
                if line.startswith("Indexed and mounted"):
                    break
            (archive,) = open_files(demo.pid, "stdlib.tar")
            demo.send_signal(number)
            demo.communicate(timeout=30)
        assert demo.returncode == (130 if number == signal.SIGINT else 143)
        directory = archive.parent
        assert directory.name.startswith("fusesg-demo-")
        assert not directory.exists()
        assert str(directory) not in Path("/proc/self/mounts").read_text()

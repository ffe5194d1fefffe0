"""`fusesg mount --foreground` as a service: readiness, end, and the example unit."""

from __future__ import annotations

import configparser
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys

import pytest


class Listener:
    """The end of NOTIFY_SOCKET that is systemd's."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(20)
        self.socket.bind(address)
        self.variable = address.replace("\0", "@")

    def assignments(self):
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture(params=["file", "abstract"])
def listener(request, tmp_path):
    name = f"\0fusesg-test-{os.getpid()}"
    address = str(tmp_path / "notify") if request.param == "file" else name
    listener = Listener(address)
    with listener.socket:
        yield listener


@pytest.fixture
def source(source):
    (source / "file").write_text("content")
    return source


@pytest.fixture
def start(listener, tmp_path):
    """Starts `fusesg ARGUMENTS` as systemd does."""
    started = []

    def start(*arguments, **variables):
        process = subprocess.Popen(
            [sys.executable, "-m", "fusesg", *map(str, arguments)],
            env=os.environ | {"NOTIFY_SOCKET": listener.variable} | variables,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_ready_when_the_mount_is_usable(listener, start, source, mountpoint):
    server = start("mount", "-f", source, mountpoint)
    told = listener.assignments()
    assert told == {"READY": "1", "STATUS": f"{source} is at {mountpoint}"}
    assert (mountpoint / "file").read_text() == "content"
    server.send_signal(signal.SIGTERM)
    assert listener.assignments() == {"STOPPING": "1"}
    _, errors = server.communicate(timeout=20)
    assert (server.returncode, errors) == (0, "")
    assert not os.path.ismount(mountpoint)


def test_never_ready_when_it_fails(listener, start, mountpoint):
    server = start("mount", "-f", "/nowhere", mountpoint)
    assert listener.assignments() == {"STOPPING": "1"}
    _, errors = server.communicate(timeout=20)
    assert server.returncode == 1
    assert "/nowhere does not exist" in errors


def test_a_strange_name_is_no_assignment(listener, start, tmp_path, mountpoint):
    strange = tmp_path / "a\nREADY=0"
    strange.mkdir()
    start("mount", "-f", strange, mountpoint)
    told = listener.assignments()
    assert told["READY"] == "1"
    assert told["STATUS"].endswith(f"a READY=0 is at {mountpoint}")


def test_nobody_listens(fusesg_command, source, tmp_path, mountpoint):
    variables = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "missing")}
    with subprocess.Popen(
        [sys.executable, "-m", "fusesg", "mount", "-f", source, mountpoint],
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        line = server.stderr.readline()  # it is told, and served all the same
        assert "NOTIFY_SOCKET: No such file" in line
        assert (mountpoint / "file").read_text() == "content"
        assert fusesg_command("umount", mountpoint).returncode == 0
        server.communicate(timeout=20)
    assert server.returncode == 0


@pytest.fixture
def unit(examples):
    return examples / "systemd/fusesg-data.service"


def test_the_example_works(listener, start, unit, source, mountpoint, fusesg_command):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(unit)
    service = parser["Service"]
    assert service["Type"] == "notify"

    def arguments(key):
        program, *words = shlex.split(service[key].removeprefix("-"))
        assert program.endswith("/fusesg")
        places = {"/srv/data": str(source), "/mnt/data": str(mountpoint)}
        return [places.get(word, word) for word in words]

    command = arguments("ExecStart")
    if os.geteuid() != 0:
        command[command.index("ro,allow_other")] = "ro"
    variable, value = service["Environment"].split("=")
    server = start(*command, **{variable: value})
    assert listener.assignments()["READY"] == "1"
    assert (mountpoint / "file").read_text() == "content"
    with pytest.raises(OSError, match="Read-only"):
        (mountpoint / "new").touch()
    server.kill()
    server.wait()
    # the watcher may have been quicker, and then there is nothing to do
    fusesg_command(*arguments("ExecStopPost"))
    assert not os.path.ismount(mountpoint)


@pytest.mark.requires("program systemd-analyze")
def test_the_example_is_a_unit(unit, tmp_path):
    text = unit.read_text().replace("/usr/local/bin/fusesg", shutil.which("true"))
    copy = tmp_path / unit.name
    copy.write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    about = [line for line in result.stderr.splitlines() if unit.name in line]
    assert about == []

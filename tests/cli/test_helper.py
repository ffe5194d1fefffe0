"""`fusesg install-helper`, and what mount(8) then does with type fuse.fusesg.

mount(8) looks for helpers in /sbin only, so those tests have a mount namespace of their
own, in which /sbin is an empty directory.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from fusesg.cli._mount_helper import ExitStatus

HELPER = "sbin/mount.fuse.fusesg"
LINK = "sbin/mount.fusesg"


class TestInstall:
    def test_in_place_and_away_again(self, fusesg_command, tmp_path):
        result = fusesg_command("install-helper", "--prefix", tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        helper, link = tmp_path / HELPER, tmp_path / LINK
        assert str(helper) in result.stdout
        assert stat.S_IMODE(helper.stat().st_mode) == 0o755
        assert os.readlink(link) == "mount.fuse.fusesg"
        assert sorted(os.listdir(tmp_path / "sbin")) == [helper.name, link.name]
        assert sys.executable in helper.read_text()
        # again: as an update does
        assert fusesg_command("install-helper", "--prefix", tmp_path).returncode == 0
        arguments = ["install-helper", "--uninstall", "--prefix", tmp_path]
        result = fusesg_command(*arguments)
        assert (result.returncode, result.stderr) == (0, "")
        assert os.listdir(tmp_path / "sbin") == []
        result = fusesg_command(*arguments)
        assert result.returncode == 1
        assert f"there is no {helper}" in result.stderr

    @pytest.mark.parametrize("name", [HELPER, LINK])
    @pytest.mark.parametrize("extra", [[], ["--uninstall"]])
    def test_what_is_not_ours_stays(self, fusesg_command, tmp_path, name, extra):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text("#!/bin/sh\n# of somebody else\n")
        result = fusesg_command("install-helper", "--prefix", tmp_path, *extra)
        assert result.returncode == 1
        assert f"{path} is there and was not made by fusesg" in result.stderr
        assert "somebody else" in path.read_text()
        assert len(os.listdir(path.parent)) == 1

    def test_where_nothing_can_be_written(self, fusesg_command, tmp_path):
        (tmp_path / "file").touch()
        result = fusesg_command("install-helper", "--prefix", tmp_path / "file")
        assert result.returncode == 1
        assert "Not a directory" in result.stderr


@pytest.fixture
def namespace(tmp_path, mountpoint):
    """Runs a script where mount(8) finds the helper; `$MNT` is the mount point.

    What it mounts is gone with it, whatever happens: the namespace ends with its last
    process, and the server is ended by the signal that its session gets.
    """

    def run(script, **variables):
        # /sbin may be a link
        setup = """
            set -e
            mount -t tmpfs none "$(realpath /sbin)"
            "$PYTHON" -P -m fusesg install-helper > /dev/null
            trap 'umount -l "$MNT" 2> /dev/null || true' EXIT
            set +e
        """
        return subprocess.run(
            [
                *["unshare", "--mount", "--propagation", "private", "sh", "-c"],
                setup + script,
            ],
            cwd=tmp_path,
            env=os.environ
            | {"MNT": str(mountpoint), "PYTHON": sys.executable}
            | variables,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    return run


@pytest.fixture
def source(source):
    (source / "file").write_text("content")
    return source


@pytest.mark.requires("root")
class TestMount:
    @pytest.mark.parametrize("kind", ["fuse.fusesg", "fusesg"])
    def test_a_directory(self, namespace, source, mountpoint, kind):
        result = namespace(
            f"""
            mount -t {kind} -o noexec,entry_timeout=5,nofail "{source}" "$MNT" || exit
            cat "$MNT/file"
            findmnt -no SOURCE,FSTYPE,OPTIONS "$MNT"
            umount "$MNT" || exit
            findmnt "$MNT" && exit 9
            exit 0
            """
        )
        assert (result.returncode, result.stderr) == (0, "")
        content, shown = result.stdout.split("content")
        assert content == ""
        device, kind, options = shown.split()
        assert (device, kind) == (str(source), "fuse.fusesg")
        assert {"noexec", "nosuid", "nodev"} <= set(options.split(","))

    def test_memory_an_archive_and_a_class(self, namespace, source, tmp_path):
        with tarfile.open(tmp_path / "some.tar", "w") as archive:
            archive.add(source, "")
        (tmp_path / "own.py").write_text(
            "import fusesg\n"
            "class Own(fusesg.Passthrough):\n"
            "    def __init__(self, where):\n"
            "        super().__init__(where)\n"
        )
        result = namespace(
            f"""
            mount -t fuse.fusesg -o size=1m memory: "$MNT" || exit
            stat -fc '%b %S' "$MNT"; umount "$MNT"
            mount -t fuse.fusesg some.tar "$MNT" || exit
            cat "$MNT/file"; echo; umount "$MNT"
            mount -t fuse.fusesg own.py:Own "$MNT" -o set.where={source} || exit
            cat "$MNT/file"; echo; umount "$MNT"
            """
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == "256 4096\ncontent\ncontent\n"

    def test_a_line_of_fstab(self, namespace, source, tmp_path, mountpoint):
        settings = tmp_path / "fusesg.toml"
        settings.write_text("[fusesg]\nread_only = true\nsubtype = 'configured'\n")
        fstab = tmp_path / "fstab"
        fstab.write_text(
            f"{source} {mountpoint} fuse.fusesg config={settings},profile=throughput,"
            "noauto,nofail,_netdev,x-systemd.automount,x-systemd.idle-timeout=60 0 0\n"
        )
        result = namespace(
            f"""
            findmnt --verify -F {fstab} > /dev/null 2>&1 || echo unverified
            mount -T {fstab} "$MNT" || exit
            cat "$MNT/file"; echo
            findmnt -no FSTYPE,OPTIONS "$MNT"
            umount "$MNT"
            """
        )
        assert (result.returncode, result.stderr) == (0, "")
        content, shown = result.stdout.splitlines()
        assert content == "content"
        assert shown.startswith("fuse.configured ro,")

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            ("/nowhere", ExitStatus.FAILURE, "/nowhere does not exist"),
            ("missing:Class", ExitStatus.FAILURE, "there is no module missing"),
            (
                "source -o entry_timeot=1",
                ExitStatus.USAGE,
                "did you mean entry_timeout",
            ),
            ("source -o max_write=1", ExitStatus.USAGE, "max_write must be an integer"),
            ("memory: -o size=lots", ExitStatus.USAGE, "size=lots: expected a number"),
            ("source -o remount,ro", ExitStatus.USAGE, "unmount first"),
            ("source -o config=/nowhere", ExitStatus.FAILURE, "/nowhere: No such file"),
        ],
    )
    def test_errors_reach_mount(self, namespace, source, arguments, status, message):
        result = namespace(f'mount -t fuse.fusesg {arguments} "$MNT"; exit $?')
        assert message in result.stderr
        assert result.returncode == status
        assert not result.stdout

    def test_nothing_is_mounted_with_fake(self, namespace, source):
        result = namespace(
            'mount -f -t fuse.fusesg source "$MNT" && ! findmnt "$MNT"; exit $?'
        )
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")

    def test_the_working_directory_has_no_modules_for_root(self, namespace, tmp_path):
        (tmp_path / "fusesg").mkdir()
        (tmp_path / "fusesg/__init__.py").write_text("raise SystemExit('attacked')")
        (tmp_path / "here.py").write_text("raise SystemExit('attacked')")
        result = namespace('mount -t fuse.fusesg here:Class "$MNT"; exit $?')
        assert "there is no module here" in result.stderr
        assert result.returncode == ExitStatus.FAILURE


def test_a_wrong_command_line():
    result = subprocess.run(
        [sys.executable, "-m", "fusesg.cli._mount_helper", "source"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == ExitStatus.USAGE
    assert result.stderr.startswith("mount.fuse.fusesg: ")
    assert "MOUNTPOINT" in result.stderr


def test_a_namespace_is_refused(tmp_path):
    result = subprocess.run(
        [
            *[sys.executable, "-m", "fusesg.cli._mount_helper"],
            *["-N", "/proc/1/ns/mnt", "memory:", tmp_path],
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == ExitStatus.USAGE
    assert "nsenter" in result.stderr
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()

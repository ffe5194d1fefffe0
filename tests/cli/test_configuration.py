"""`fusesg config` and `fusesg mount --show-config`: the settings of a command."""

from __future__ import annotations

import json
import os

import pytest

from fusesg._config import SETTINGS


def rows(output):
    """The lines of the table: value and origin by name."""
    _, *lines = output.splitlines()
    found = {}
    for line in lines:
        name, value, *rest = line.split()
        unit = SETTINGS[name].unit
        origin = rest[1:] if unit else rest
        assert not unit or rest[0] == unit
        found[name] = (value, " ".join(origin))
    return found


def environment(**variables):
    return os.environ | {f"FUSESG_{key}": text for key, text in variables.items()}


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "fusesg.toml"
    path.write_text("[fusesg]\nprofile = 'throughput'\nmax_write = 8192\n")
    return path


def test_defaults(fusesg_command):
    result = fusesg_command("config")
    assert result.stderr == ""
    expected = {
        name: (setting.written(setting.default), "default")
        for name, setting in SETTINGS.items()
    }
    assert rows(result.stdout) == expected


def test_all_sources(fusesg_command, toml):
    result = fusesg_command(
        "config",
        "--config",
        toml,
        "-o",
        "ro,cpu_affinity=0-1:3",
        env=environment(ENTRY_TIMEOUT="2.5", CONFIG="/nowhere"),
    )
    assert result.stderr == ""
    found = rows(result.stdout)
    assert found["read_only"] == ("yes", "-o")
    assert found["cpu_affinity"] == ("0-1:3", "-o")
    assert found["entry_timeout"] == ("2.5", "FUSESG_ENTRY_TIMEOUT")
    assert found["max_write"] == ("8192", f"{toml}:3")
    assert found["kernel_passthrough"] == ("yes", f"profile throughput ({toml}:2)")
    assert found["trace"] == ("no", "default")


def test_the_file_of_the_environment(fusesg_command, toml):
    result = fusesg_command(
        "config", "--profile", "strict", env=environment(CONFIG=toml)
    )
    found = rows(result.stdout)
    assert found["max_write"] == ("8192", f"{toml}:3")
    assert found["direct_io"] == ("yes", "profile strict")


def test_the_options_of_a_line_of_fstab(fusesg_command, toml):
    options = f"ro,config={toml},set.name=x,log_file=/nowhere,profile=strict,nofail"
    result = fusesg_command("config", "-o", options)
    assert result.stderr == ""
    found = rows(result.stdout)
    assert found["read_only"] == ("yes", "-o")
    assert found["max_write"] == ("8192", f"{toml}:3")
    assert found["direct_io"] == ("yes", "profile strict (-o)")


def test_json(fusesg_command):
    result = fusesg_command(
        "config", "--json", "-o", "cpu_affinity=1,request_timeout=3"
    )
    found = json.loads(result.stdout)
    assert list(found) == list(SETTINGS)
    assert found["cpu_affinity"] == {
        "value": [1],
        "default": None,
        "unit": None,
        "from": "-o",
    }
    assert found["request_timeout"] == {
        "value": 3.0,
        "default": None,
        "unit": "seconds",
        "from": "-o",
    }


def test_every_setting_is_explained(fusesg_command):
    result = fusesg_command("config", *SETTINGS)
    assert result.stderr == ""
    for name, setting in SETTINGS.items():
        assert f"\n  must be   {setting.allowed}\n" in result.stdout
        assert f"-o {name}={setting.example}\n" in result.stdout
        assert f"FUSESG_{name.upper()}={setting.example}\n" in result.stdout
    assert (
        "  Seconds for which a name is believed to lead to its inode" in result.stdout
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["entry_timeot"], {}, "did you mean entry_timeout"),
        (["-o", "max_write=1"], {}, "option max_write=1: max_write must be an integer"),
        ([], {"MAX_WRITE": "1"}, "FUSESG_MAX_WRITE=1: max_write must be an integer"),
        ([], {"MAX_WRIT": "1"}, "FUSESG_MAX_WRIT: unknown option 'max_writ'; did you"),
        (
            ["--profile", "fast"],
            {},
            "no profile 'fast'; profiles are latency, throughp",
        ),
        (["--config", "/nowhere"], {}, "/nowhere: No such file or directory"),
        ([], {"CONFIG": "/nowhere"}, "/nowhere: No such file or directory"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    fusesg_command, arguments, variables, message
):
    result = fusesg_command("config", *arguments, env=environment(**variables))
    assert result.returncode == 1
    assert result.stderr.startswith("fusesg config: ")
    assert message in result.stderr
    assert result.stdout == ""


class TestMount:
    def test_show_config_does_not_mount(self, fusesg_command, mountpoint, tmp_path):
        result = fusesg_command(
            "mount", "--profile", "latency", "--show-config", tmp_path, mountpoint
        )
        assert (result.returncode, result.stderr) == (0, "")
        found = rows(result.stdout)
        assert found["source"] == (str(tmp_path), "command line")
        assert found["keep_cache"] == ("yes", "profile latency")
        assert not os.path.ismount(mountpoint)

    @pytest.mark.parametrize("how", ["argument", "environment", "-o"])
    def test_a_file(self, fusesg_command, mountpoint, tmp_path, toml, how):
        toml.write_text("noatime = true\nsubtype = 'fromfile'")
        source = tmp_path / "source"
        source.mkdir()
        arguments = {
            "argument": ["--config", toml],
            "-o": ["-o", f"config={toml}"],
            "environment": [],
        }[how]
        variables = {"CONFIG": str(toml)} if how == "environment" else {}
        result = fusesg_command(
            "mount", *arguments, source, mountpoint, env=environment(**variables)
        )
        assert (result.returncode, result.stderr) == (0, "")
        with open("/proc/self/mounts") as mounts:
            (line,) = [line for line in mounts if f" {mountpoint} " in line]
        assert " fuse.fromfile " in line
        assert "noatime" in line

    def test_what_else_the_options_may_say(self, fusesg_command, mountpoint, tmp_path):
        (tmp_path / "module.py").write_text(
            "import fusesg\n"
            "class Named(fusesg.Memory):\n"
            "    def __init__(self, name):\n"
            "        assert name == 'a,b=c'\n"
            "        super().__init__()\n"
        )
        log = tmp_path / "log"
        options = rf"set.name=a\,b=c,log_file={log}"
        result = fusesg_command("mount", "-o", options, "module:Named", mountpoint)
        assert (result.returncode, result.stderr) == (0, "")
        (mountpoint / "file").touch()
        assert log.exists()

    @pytest.mark.parametrize("how", ["-o", "environment"])
    def test_trace_that_nobody_would_see(
        self, fusesg_command, mountpoint, tmp_path, how
    ):
        arguments = ["-o", "trace"] if how == "-o" else []
        variables = {"TRACE": "yes"} if how == "environment" else {}
        result = fusesg_command(
            "mount", *arguments, tmp_path, mountpoint, env=environment(**variables)
        )
        assert result.returncode == 1
        assert "--trace in the background needs --log-file" in result.stderr

    def test_a_word_that_lacks_its_value(self, fusesg_command, mountpoint, tmp_path):
        result = fusesg_command("mount", "-o", "config", tmp_path, mountpoint)
        assert result.returncode == 1
        assert "option config needs a value: config=FILE" in result.stderr

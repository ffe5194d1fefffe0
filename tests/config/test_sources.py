"""Settings from files, environment, options and profiles: one precedence for all."""

from __future__ import annotations

import dataclasses
import pickle
import re
import tomllib

import pytest

import fusesg
from fusesg._config import SETTINGS
from fusesg._config_profiles import PROFILES

NAMES = [field.name for field in dataclasses.fields(fusesg.Config)]

# of each field a value that is not its default
OTHER = {
    "source": "other",
    "subtype": "other",
    "readdirplus": "never",
    "cpu_affinity": frozenset({0, 1, 2, 5}),
    "max_readahead": 8192,
    "congestion_threshold": 7,
    "request_timeout": 2.5,
    "metrics": "127.0.0.1:9100",
    "exec": False,
    "default_permissions": False,
}


def other_value(name):
    default = getattr(fusesg.Config(), name)
    if name in OTHER:
        return OTHER[name]
    if isinstance(default, bool):
        return not default
    return default * 2 if default else 3


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "fusesg.toml"
        path.write_text(text)
        return path

    return write


def as_toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset):
        return str(sorted(value))
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_can_come_from_everywhere(toml, name):
    value = other_value(name)
    expected = fusesg.Config(**{name: value})
    assert expected != fusesg.Config()
    text = SETTINGS[name].written(value)
    escaped = text.replace(",", "\\,")
    path = toml(f"{name} = {as_toml(value)}")
    found = {
        "-o": fusesg.Config.from_options(f"{name}={escaped}"),
        f"FUSESG_{name.upper()}": fusesg.Config.from_environment(
            {f"FUSESG_{name.upper()}": text}
        ),
        f"{path}:1": fusesg.Config.from_file(path),
        "keyword": expected,
    }
    for origin, config in found.items():
        assert config == expected, origin
        assert config.origins() == dict.fromkeys(NAMES, "default") | {name: origin}


@pytest.mark.parametrize("name", NAMES)
def test_text_of_a_default_is_the_default(name):
    text = SETTINGS[name].written(SETTINGS[name].default)
    assert fusesg.Config.from_environment({f"FUSESG_{name.upper()}": text}) == (
        fusesg.Config()
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_setting_can_be_said(name):
    fusesg.Config.from_options(f"{name}={SETTINGS[name].example}")


def test_precedence(toml):
    path = toml('profile = "latency"\nentry_timeout = 2\nmax_write = 8192\n')
    environment = {"FUSESG_MAX_WRITE": "16384", "FUSESG_NOATIME": "yes"}
    config = fusesg.Config.load(
        path, environment=environment, options="noatime=no,trace", trace=False
    )
    expected = {
        "trace": (False, "keyword"),
        "noatime": (False, "-o"),
        "max_write": (16384, "FUSESG_MAX_WRITE"),
        "entry_timeout": (2, f"{path}:2"),
        "keep_cache": (True, f"profile latency ({path}:1)"),
        "max_background": (128, "default"),
    }
    origins = config.origins()
    for name, (value, origin) in expected.items():
        assert (getattr(config, name), origins[name]) == (value, origin)


def test_the_uppermost_profile_counts_and_lies_below_all(toml):
    path = toml('profile = "throughput"\nentry_timeout = 2\n')
    strict = fusesg.Config.profile("strict")
    by_environment = fusesg.Config.load(path, environment={"FUSESG_PROFILE": "strict"})
    assert by_environment == strict.replace(entry_timeout=2)
    by_options = fusesg.Config.load(
        path, environment={"FUSESG_PROFILE": "throughput"}, options="profile=strict"
    )
    assert by_options == by_environment
    by_argument = fusesg.Config.load(path, options="profile=latency", profile="strict")
    assert by_argument == by_environment
    assert by_options.origins()["direct_io"] == "profile strict (-o)"
    assert by_argument.origins()["direct_io"] == "profile strict"


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_settings(name):
    config = fusesg.Config.profile(name)
    assert config != fusesg.Config()
    for key, value in PROFILES[name].values.items():
        assert getattr(config, key) == value
        assert config.origins()[key] == f"profile {name}"
    assert fusesg.Config.profile(name, entry_timeout=7).entry_timeout == 7
    assert f'"{name}"' in fusesg.Config.profile.__doc__


def test_origins_are_kept_and_make_no_difference():
    config = fusesg.Config.from_options("entry_timeout=5,noexec")
    assert config == fusesg.Config(entry_timeout=5, exec=False)
    copy = pickle.loads(pickle.dumps(config)).replace(exec=True)
    assert copy.origins()["entry_timeout"] == "-o"
    assert copy.origins()["exec"] == "keyword"


# Files


@pytest.mark.parametrize(
    "text",
    [
        "entry_timeout = 5\nexec = false",
        "[fusesg]\nentry_timeout = 5\nexec = false",
        "title = 'x'\n[x]\nmax_write = 1\n[fusesg]\n'entry_timeout' = 5\nexec = false",
        "[fusesg]\n'entry_timeout' = 5\nexec = false\n[source]\nsuid = 3",
        "fusesg = {entry_timeout = 5, exec = false}",
        "fusesg.entry_timeout = 5\nfusesg.exec = false",
        'entry_timeout = "5"\nexec = "no"',
    ],
)
def test_shapes_of_a_file(toml, text):
    path = toml(text)
    config = fusesg.Config.from_file(path)
    assert config == fusesg.Config(entry_timeout=5, exec=False)
    lines = text.splitlines()
    line = next(n for n, line in enumerate(lines, 1) if "entry_timeout" in line)
    assert config.origins()["entry_timeout"] == f"{path}:{line}"


def test_strings_mean_what_they_mean_as_options(toml):
    path = toml('max_write = "1m"\nslow_request_warning = "none"\ncpu_affinity="0-2,5"')
    assert fusesg.Config.from_file(path) == fusesg.Config(
        max_write=1 << 20, slow_request_warning=None, cpu_affinity={0, 1, 2, 5}
    )


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            "\n[fusesg]\nentry_timout = 1",
            TypeError,
            r":3: .*did you mean entry_timeout",
        ),
        ("xyzzy = 1", TypeError, ":1: unknown option 'xyzzy'; options are allow_other"),
        ("threads = 3", TypeError, ":1: .*reader_threads .* max_python_threads"),
        (
            "\nmax_write = 1",
            ValueError,
            ":2: max_write=1: max_write must be an integer",
        ),
        (
            "max_write = 1.5",
            TypeError,
            ":1: max_write=1.5: max_write must be an integer",
        ),
        ("trace = 1", TypeError, ":1: trace=1: trace must be True or False"),
        ('trace = "true"', TypeError, ":1: trace=true: write it without quotes: true"),
        ('exec = "False"', TypeError, ":1: exec=False: write it without quotes: false"),
        ("trace = True", ValueError, "Invalid value.*; TOML has true for True"),
        (
            "a = 1\nrequest_timeout = None # x",
            ValueError,
            r"line 2.*; TOML has \"none\" for None",
        ),
        (
            "\nentry_timeout = 1\n[fusesg]\nexec = false",
            TypeError,
            r":2: entry_timeout=1: only the table \[fusesg\] counts",
        ),
        (
            'profile = "strict"\n[fusesg]',
            TypeError,
            r":1: profile=strict: only the table \[fusesg\] counts",
        ),
        ("entry_timout = 1\n[fusesg]", TypeError, r":1: entry_timout=1: only the tabl"),
        ("ro = true", TypeError, ":1: unknown option 'ro'; did you mean read_only?"),
        ('trace = "maybe"', ValueError, ":1: trace=maybe: expected yes or no"),
        ('entry_timeout = "soon"', ValueError, ":1: .*expected a number"),
        ("cpu_affinity = []", ValueError, ":1: .*must be a set of CPUs"),
        ('cpu_affinity = ["a"]', TypeError, ":1: .*must be a set of CPUs"),
        ('cpu_affinity = "3-1"', ValueError, ":1: .*expected CPUs in order, not 3-1"),
        ('profile = "fast"', ValueError, ":1: .*profiles are latency, throughput, str"),
        ("fusesg = 3", TypeError, "fusesg must be a table"),
        ("entry_timeout = ", ValueError, "fusesg.toml: Invalid value"),
        (
            "writeback_cache = true\n\ndirect_io = true",
            ValueError,
            ":1: writeback_cache=True and .*:3: direct_io=True exclude each other",
        ),
    ],
)
def test_a_file_is_refused_with_the_line(toml, text, kind, message):
    path = toml(text)
    with pytest.raises(kind, match=f"fusesg.toml.*{message}|^.*{message}") as caught:
        fusesg.Config.from_file(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        fusesg.Config.from_file(tmp_path / "missing.toml")


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"binary: .*utf-8"):
        fusesg.Config.from_file(path)


def test_the_example_of_the_docstring(toml):
    text = fusesg.Config.from_file.__doc__.split("```toml\n")[1].split("```")[0]
    config = fusesg.Config.from_file(toml("\n".join(map(str.strip, text.splitlines()))))
    table = tomllib.loads("\n".join(map(str.strip, text.splitlines())))["fusesg"]
    assert config == fusesg.Config.profile(
        table["profile"], entry_timeout=60, request_timeout=None, cpu_affinity={0, 1}
    )


# The environment


@pytest.mark.parametrize(
    ("variable", "text", "kind", "message"),
    [
        (
            "ENTRY_TIMOUT",
            "1",
            TypeError,
            "FUSESG_ENTRY_TIMOUT: .*did you mean entry_ti",
        ),
        ("MAX_WRITE", "1", ValueError, "FUSESG_MAX_WRITE=1: max_write must be an int"),
        ("MAX_WRITE", "1x", ValueError, "FUSESG_MAX_WRITE=1x: expected an integer"),
        ("TRACE", "maybe", ValueError, "FUSESG_TRACE=maybe: expected yes or no"),
        ("PROFILE", "fast", ValueError, "FUSESG_PROFILE=fast: no profile 'fast'"),
    ],
)
def test_the_environment_is_refused_with_the_variable(variable, text, kind, message):
    with pytest.raises(kind, match=message):
        fusesg.Config.from_environment({f"FUSESG_{variable}": text, "HOME": "/"})


def test_an_empty_variable_and_those_of_others_count_for_nothing(monkeypatch):
    environment = {"FUSESG_TRACE": "", "FUSESG_CONFIG": "/etc/x", "XFUSESG_TRACE": "1"}
    assert fusesg.Config.from_environment(environment) == fusesg.Config()
    monkeypatch.setenv("FUSESG_TRACE", "on")
    assert fusesg.Config.from_environment() == fusesg.Config(trace=True)
    assert fusesg.Config() == fusesg.Config(trace=False)


# Options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            "max_write=64k,max_readahead=1m",
            {"max_write": 65536, "max_readahead": 1 << 20},
        ),
        ("cpu_affinity=0-1:4", {"cpu_affinity": {0, 1, 4}}),
        (r"cpu_affinity=0\,3", {"cpu_affinity": {0, 3}}),
        ("readdirplus=always", {"readdirplus": "always"}),
        ("relatime,user=somebody,nofail,comment=x,nonempty", {}),
    ],
)
def test_options(options, expected):
    assert fusesg.Config.from_options(options) == fusesg.Config(**expected)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("ro", "did you mean read_only?"),
        ("fsname", "did you mean source?"),
        ("fsnam", "did you mean source?"),
        ("atr_timeout", "did you mean attribute_timeout?"),
        ("attr_timeout", "did you mean attribute_timeout?"),
        ("nonempty", "a directory that is not empty may always be mounted on"),
        ("nothreads", "callbacks always run on threads of the mount"),
        ("entry_timout", "did you mean entry_timeout"),
    ],
)
def test_words_from_elsewhere_are_refused_with_ours(word, hint):
    message = f"^unknown option '{word}'; {re.escape(hint)}"
    with pytest.raises(TypeError, match=message):
        fusesg.Config(**{word: True})
    with pytest.raises(TypeError, match=message):
        fusesg.Config.load(**{word: True})
    with pytest.raises(TypeError, match=f"FUSESG_{word.upper()}: {message[1:]}"):
        fusesg.Config.from_environment({f"FUSESG_{word.upper()}": "1"})


@pytest.mark.parametrize("option", ["ro=5", "rw=1", "nosuid=no", "noexec="])
def test_words_of_mount_take_no_value(option):
    word = option.partition("=")[0]
    with pytest.raises(ValueError, match=f"^option {option}: {word} takes no value$"):
        fusesg.Config.from_options(option)


def test_a_conflict_names_both_places():
    with pytest.raises(
        ValueError,
        match=r"FUSESG_DIRECT_IO=yes exclude|writeback_cache and FUSESG_DIRECT_IO=yes",
    ):
        fusesg.Config.load(
            environment={"FUSESG_DIRECT_IO": "yes"}, options="writeback_cache"
        )
    with pytest.raises(ValueError, match="profile strict: direct_io=True exclude"):
        fusesg.Config.profile("strict", writeback_cache=True)
    config = fusesg.Config.profile("strict", writeback_cache=True, direct_io=False)
    assert config.writeback_cache


@pytest.mark.parametrize("value", [{0, "a"}, set(), {-1}, {5000}, {0.5}])
def test_impossible_cpus(value):
    with pytest.raises(ValueError, match="must be a set of CPUs, which are numbers"):
        fusesg.Config(cpu_affinity=value)

"""`fusesg.Config`: what it takes, and what it says about what it does not take."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import pickle
import re

import pytest

import fusesg
from fusesg._config import ConfigOptions

NAMES = [field.name for field in dataclasses.fields(fusesg.Config)]


def test_options_of_mount_are_the_fields():
    assert list(ConfigOptions.__annotations__) == NAMES
    for field in dataclasses.fields(fusesg.Config):
        annotation = ConfigOptions.__annotations__[field.name]
        assert annotation.__forward_arg__ == field.type


def test_every_field_is_documented_with_its_default():
    for field in dataclasses.fields(fusesg.Config):
        (text,) = re.findall(
            rf"^    {field.name}: (.*(?:\n        .*)*)",
            inspect.getdoc(fusesg.Config),
            re.MULTILINE,
        )
        match field.default:
            case True:
                assert re.search(r"\bOn[.;]", text)
            case False:
                assert re.search(r"\bOff[.,:;]", text)
            case str(default):
                assert f'Default "{default}"' in text
            case default:
                shown = f"{default:g}" if isinstance(default, float) else f"{default}"
                assert re.search(rf"Default\s+{shown}\b", text), (field.name, text)


def test_settings_are_all_fields():
    assert list(fusesg.Config().settings()) == NAMES


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"entry_timeot": 1}, TypeError, "'entry_timeot'; did you mean entry_timeout"),
        ({"xyzzy": 1}, TypeError, "options are allow_other, default_permissions"),
        ({"threads": 4}, TypeError, "reader_threads .* max_python_threads"),
        ({"allow_other": 1}, TypeError, "allow_other=1: .* must be True or False"),
        ({"read_only": "no"}, TypeError, "read_only='no': .* must be True or False"),
        ({"entry_timeout": "1"}, TypeError, "must be a number of seconds from 0"),
        ({"entry_timeout": True}, TypeError, "must be a number of seconds from 0"),
        ({"entry_timeout": -1}, ValueError, "entry_timeout=-1: entry_timeout must be"),
        ({"entry_timeout": math.nan}, ValueError, "entry_timeout=nan"),
        ({"entry_timeout": math.inf}, ValueError, "entry_timeout=inf"),
        ({"entry_timeout": None}, TypeError, "entry_timeout=None"),
        ({"request_timeout": 0}, ValueError, "more than 0 .* or None for never"),
        ({"reader_threads": 1}, ValueError, "must be an integer from 2 to 256"),
        ({"reader_threads": 2.0}, TypeError, "must be an integer from 2 to 256"),
        (
            {"max_write": 5000},
            ValueError,
            "from 4096 to 16777216 bytes in steps of 4096",
        ),
        ({"max_background": 0}, ValueError, "max_background=0"),
        ({"max_requests": 0}, ValueError, "max_requests=0"),
        ({"congestion_threshold": 129}, ValueError, "max_background, which is 128"),
        ({"source": ""}, ValueError, "must be a non-empty string"),
        ({"source": "a\nb"}, ValueError, "without NUL and newline"),
        ({"subtype": "a,b"}, ValueError, "must be letters, digits"),
        (
            {"writeback_cache": True, "kernel_passthrough": True},
            ValueError,
            "exclude each other",
        ),
    ],
)
def test_refused(options, kind, message):
    with pytest.raises(kind, match=message):
        fusesg.Config(**options)
    with pytest.raises(kind, match=message):
        fusesg.Config().replace(**options)


def test_immutable_and_copied():
    config = fusesg.Config(trace=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.trace = False
    assert copy.copy(config) == pickle.loads(pickle.dumps(config)) == config
    assert config.replace(trace=False) == fusesg.Config()


def changed(options):
    default = fusesg.Config().settings()
    found = fusesg.Config.from_options(options).settings()
    return {name: value for name, value in found.items() if value != default[name]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {}),
        ("rw", {}),
        ("ro", {"read_only": True}),
        ("ro,rw", {}),
        ("suid,dev,noexec,noatime", dict.fromkeys(["suid", "dev", "noatime"], True)),
        ("nosuid,nodev,exec,atime", {}),
        ("allow_other", {"allow_other": True}),
        ("default_permissions=no", {"default_permissions": False}),
        ("fsname=sshfs#host,subtype=x", {"source": "sshfs#host", "subtype": "x"}),
        (r"fsname=a\,b,ro", {"source": "a,b", "read_only": True}),
        ("entry_timeout=2.5,max_write=8192", {"entry_timeout": 2.5, "max_write": 8192}),
        ("slow_request_warning=none", {"slow_request_warning": None}),
        ("defaults,_netdev,nofail,x-systemd.automount,user", {}),
        (" ro , trace ", {"read_only": True, "trace": True}),
    ],
)
def test_from_options(options, expected):
    if "noexec" in options:
        expected["exec"] = False
    assert changed(options) == expected


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ("entry_timout=1", TypeError, "did you mean entry_timeout"),
        ("fsnam=x", TypeError, "'fsnam'; did you mean fsname?"),
        ("metrics", ValueError, "needs a value: metrics=127.0.0.1:9100"),
        ("threads=4", TypeError, "reader_threads"),
        ("entry_timeout", ValueError, "needs a value: entry_timeout=1.0"),
        ("entry_timeout=soon", ValueError, "entry_timeout=soon: expected a number"),
        ("max_write=1e6", ValueError, "expected an integer"),
        ("allow_other=perhaps", ValueError, "expected yes or no"),
        ("max_write=1", ValueError, "max_write must be"),
        ("ro=no", ValueError, "option ro=no: ro takes no value"),
    ],
)
def test_from_options_refused(options, kind, message):
    with pytest.raises(kind, match=message):
        fusesg.Config.from_options(options)

r"""Tests of file systems: on real mounts, in process, and checked for leaks.

The fixtures come with a pytest plugin, `pytest_fusesg`, which is there as soon as
fusesg is installed. There is nothing to import and nothing to unmount:

```python
def test_hello(fuse_mount):
    mount = fuse_mount(Hello())
    assert os.listdir(mount.path) == ["hello"]
```

- `fuse_mount(filesystem, mountpoint=None, config=None, **options)` mounts as
  `fusesg.mount` does, in a new directory of the test's `tmp_path` where none is given.
  It is unmounted at the end of the test, whatever happened in it. May be called more
  than once.
- `fuse_client(filesystem, **options)` makes a `fusesg.Client`: no mount, no privilege,
  no `/dev/fuse`. Closed at the end of the test.
- `fuse_process(program, *arguments, **options)` starts a Python program in a process of
  its own, to use a mount from there: see `Process`. Killed at the end of the test.
- `fuse_log` has the warnings and errors of the logger `fusesg`: see `FuseLog`.
- `fuse_no_leaks` is part of `fuse_mount`, and for tests that call `fusesg.mount`
  themselves: see `LeakCheck`.
- `fuse_available`, of the scope session, is part of both: it skips a test where nothing
  can be mounted.

A test fails that

- leaves something behind: a mount, a thread, a file descriptor, a child process, an
  open handle, a page that did not return to its pool, or of a client a lookup that was
  not given back;
- logs a warning or a traceback that it does not `expect`: it is a bug in the file
  system, which programs see as EIO;
- hangs: a callback that does not return within `fuse_time_limit` seconds is named with
  its stack, and the mount is aborted, so that whoever waits gets an error.

The rest of a run that was killed needs no care: a watcher process detaches its mounts,
and the next run takes away what a watcher could not.

Settings of the configuration file, all in the section of pytest:

| name | default | |
|---|---|---|
| `fuse_time_limit` | 30 | seconds that a callback may take; `@pytest.mark.fuse_time_limit(s)` for one test; 0 is no limit |
| `fuse_settle_time` | 5 | seconds after which something that is not gone yet counts as left behind |
| `fuse_ignored_leaks` | none | regular expressions, one a line: what may be left behind |
| `fuse_mounts_required` | false | where nothing can be mounted, tests that mount fail; by default they are skipped |
"""  # noqa: E501 - a table

from fusesg.testing._client import leaks
from fusesg.testing._fixtures import MakeClient, MakeMount, StartProcess
from fusesg.testing._leftovers import LeakCheck
from fusesg.testing._log import FuseLog
from fusesg.testing._process import Process
from fusesg.testing._wait import operation_counts, wait_until

__all__ = [
    "FuseLog",
    "LeakCheck",
    "MakeClient",
    "MakeMount",
    "Process",
    "StartProcess",
    "leaks",
    "operation_counts",
    "wait_until",
]

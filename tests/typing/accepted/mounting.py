"""Mounts, their settings, and clients."""

import os
from pathlib import Path
from typing import Any, assert_type

import fusesg


def configured() -> fusesg.Config:
    """Settings from keywords and from options."""
    config = fusesg.Config(
        allow_other=True,
        entry_timeout=60,
        attribute_timeout=0.5,
        max_write=1 << 20,
        max_readahead=None,
        congestion_threshold=10,
        reader_threads=4,
        request_timeout=None,
        kernel_passthrough=False,
    )
    assert_type(config.entry_timeout, float)
    assert_type(config.request_timeout, float | None)
    assert_type(fusesg.Config.from_options("ro,entry_timeout=60"), fusesg.Config)
    assert_type(fusesg.Config.profile("latency", trace=True), fusesg.Config)
    loaded = fusesg.Config.load(
        "/etc/fusesg.toml", environment=os.environ, noatime=True
    )
    assert_type(loaded.origins(), dict[str, str])
    return config.replace(read_only=True)


def in_background(filesystem: fusesg.Filesystem, directory: Path) -> None:
    """A mount as context manager."""
    with fusesg.mount(filesystem, directory, configured(), trace=True) as mount:
        assert_type(mount, fusesg.Mount)
        assert_type(mount.path, str)
        assert_type(mount.statistics(), dict[str, Any])
        mount.invalidate_inode(2)
        mount.invalidate_entry(fusesg.ROOT_INODE, "name", deleted=True)
        mount.store(2, 0, b"data")
        assert_type(mount.wait(timeout=1.5), bool)


def in_foreground(filesystem: fusesg.Filesystem) -> None:
    """Serve, and tell when it is ready."""

    def ready(mount: fusesg.Mount) -> None:
        print(mount.path)

    fusesg.serve(filesystem, "/mnt", on_ready=ready, max_background=64)


def without_mount(filesystem: fusesg.Filesystem) -> bytes:
    """The same by a client."""
    with fusesg.Client(filesystem, page_size=4096, packing="segment") as client:
        assert_type(client.listdir("/"), list[str])
        assert_type(client.stat("/").st_size, int)
        with client.open_file("/name") as file:
            assert_type(file, fusesg.ClientFile)
            return file.read() or b""

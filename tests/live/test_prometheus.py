"""What Prometheus reads: at an address, and from the command."""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.error
import urllib.request
from itertools import pairwise

import pytest
from prometheus_client.parser import text_string_to_metric_families

import fusesg
from fusesg.cli import main
from fusesg.testing import wait_until

from .conftest import Words


def parse(text):
    """Samples by family; a family that is there twice is wrong."""
    families = list(text_string_to_metric_families(text))
    by_name = {family.name: family for family in families}
    assert len(by_name) == len(families)
    assert all(family.documentation.endswith(".") for family in families)
    assert all(family.type != "unknown" for family in families)
    return by_name


def values(family, suffix="", **labels):
    return [
        sample.value
        for sample in family.samples
        if sample.name == family.name + suffix
        and labels.items() <= sample.labels.items()
    ]


def url(mount, path="/metrics"):
    host, port = mount.metrics_address
    return f"http://{host}:{port}{path}"


def mount_at(fuse_mount, path):
    path.mkdir()
    return fuse_mount(Words(), path).path


def fetch(mount, path="/metrics"):
    with urllib.request.urlopen(url(mount, path), timeout=10) as answer:
        return answer.headers, answer.read().decode()


def use(mount):
    with open(f"{mount.path}/file", "rb", buffering=0) as file:
        assert file.read(100) == b"words"
    with pytest.raises(PermissionError):
        os.stat(f"{mount.path}/x")
    wait_until(lambda: mount.statistics()["in_flight"] == 0)


def test_the_endpoint(mounted):
    with mounted(Words(), metrics="127.0.0.1:0", direct_io=True) as mount:
        use(mount)
        headers, text = fetch(mount)
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = parse(text)
    labels = {"mountpoint": mount.path}
    operations = found["fusesg_operations"]
    assert operations.type == "counter"
    assert values(operations, "_total", operation="read", **labels) == [1]
    assert values(operations, "_total", operation="lookup", **labels) == [2]
    errors = found["fusesg_operation_errors"]
    assert values(errors, "_total", operation="lookup", **labels) == [1]
    assert values(found["fusesg_operation_bytes"], "_total", operation="read") == [5]
    assert values(found["fusesg_callbacks"], "_total", **labels)[0] >= 4
    assert values(found["fusesg_requests_in_flight"], **labels) == [0]
    assert values(found["fusesg_given_up_running"], **labels) == [0]
    assert values(found["fusesg_oldest_given_up_seconds"], **labels) == [0]
    for family in found.values():
        assert all(
            sample.labels["mountpoint"] == mount.path for sample in family.samples
        )


@pytest.mark.parametrize(
    "name",
    [
        "fusesg_operation_duration_seconds",
        "fusesg_gil_wait_seconds",
        "fusesg_callback_duration_seconds",
    ],
)
def test_histograms(mounted, name):
    with mounted(Words(), metrics="127.0.0.1:0", direct_io=True) as mount:
        use(mount)
        family = parse(fetch(mount)[1])[name]
        latency = mount.statistics()["operations"]["read"]["latency"]
    assert family.type == "histogram"
    buckets = [
        (float(sample.labels["le"]), sample.value)
        for sample in family.samples
        if sample.name == f"{name}_bucket" and sample.labels["operation"] == "read"
    ]
    assert buckets[0][0] == pytest.approx(1.024e-6)
    assert buckets[-1] == (float("inf"), 1)
    assert all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(buckets))
    assert values(family, "_count", operation="read") == [1]
    (total,) = values(family, "_sum", operation="read")
    # the first bucket that has it is the one that it belongs to
    bound = next(bound for bound, count in buckets if count)
    assert bound / 2 < total < bound or total < 1.024e-6
    if name == "fusesg_operation_duration_seconds":
        assert total == pytest.approx(latency["seconds"])


def test_mount_points_may_have_any_name(fuse_mount, tmp_path):
    point = tmp_path / 'a "quoted"\\\nname'
    point.mkdir()
    mount = fuse_mount(Words(), point, metrics="[::1]:0")
    host, port = mount.metrics_address
    with urllib.request.urlopen(
        f"http://[{host}]:{port}/metrics", timeout=10
    ) as answer:
        found = parse(answer.read().decode())
    for sample in found["fusesg_uptime_seconds"].samples:
        assert sample.labels["mountpoint"] == str(point)


def test_statistics_are_there_too(mounted):
    with mounted(Words(), metrics="127.0.0.1:0") as mount:
        headers, text = fetch(mount, "/statistics")
    assert headers["Content-Type"] == "application/json"
    assert f'"mountpoint":"{mount.path}"' in text


def test_the_address_is_told(mounted, caplog):
    caplog.set_level("INFO", "fusesg")
    with mounted(Words(), metrics="127.0.0.1:0") as mount:
        host, port = mount.metrics_address
        assert mount.statistics()["metrics"] == f"{host}:{port}"
        text = f"{mount.path}: metrics are at http://{host}:{port}/metrics"
        assert text in caplog.messages
    with mounted(Words()) as mount:
        assert "metrics" not in mount.statistics()


def test_programs_that_are_started_do_not_get_a_connection(mounted):
    def sockets():
        found = set()
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                    found.add(int(name))
        return found

    with mounted(Words(), metrics="127.0.0.1:0") as mount:
        before = sockets()
        with socket.create_connection(mount.metrics_address):
            # ours, the one that was accepted, and at least one duplicate of it
            wait_until(lambda: len(sockets() - before) > 2)
            assert not any(os.get_inheritable(fd) for fd in sockets())


def test_what_is_not_there(mounted):
    with mounted(Words(), metrics="127.0.0.1:0") as mount:
        with pytest.raises(urllib.error.HTTPError, match="404: Not Found"):
            fetch(mount, "/")
        with pytest.raises(urllib.error.HTTPError, match="405: Method Not Allowed"):
            urllib.request.urlopen(url(mount), data=b"x", timeout=10)
        address = mount.metrics_address
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_who_says_nothing_keeps_nobody_from_unmounting(mounted):
    with (
        mounted(Words(), metrics="127.0.0.1:0") as mount,
        socket.create_connection(mount.metrics_address) as silent,
    ):
        mount.unmount()
        assert silent.recv(1) == b""


def test_an_address_that_is_taken(mountpoint):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"metrics=127.0.0.1:{port}: .* in use"):
            fusesg.mount(Words(), mountpoint, metrics=f"127.0.0.1:{port}")
    assert not os.path.ismount(mountpoint)


@pytest.mark.parametrize(
    "address", ["", "9100", ":9100", "127.0.0.1", "a:b", "::1:9100", "a:65536", "a b:1"]
)
def test_what_is_no_address(address):
    with pytest.raises(ValueError, match="metrics must be HOST:PORT, as in "):
        fusesg.Config(metrics=address)


def test_by_default_nobody_listens(mounted):
    with mounted(Words()) as mount:
        assert mount.metrics_address is None


def test_the_command_tells_all_mounts_in_one_text(fuse_mount, tmp_path, capsys):
    paths = {mount_at(fuse_mount, tmp_path / name) for name in "ab"}
    main(["statistics", "--prometheus"])  # 1, if somebody else's mount is broken
    found = parse(capsys.readouterr().out)
    uptime = found["fusesg_uptime_seconds"].samples
    assert {sample.labels["mountpoint"] for sample in uptime} >= paths
    assert main(["statistics", "--prometheus", min(paths)]) == 0
    (sample,) = parse(capsys.readouterr().out)["fusesg_uptime_seconds"].samples
    assert sample.labels["mountpoint"] == min(paths)

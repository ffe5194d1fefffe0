"""`make dashboard`: what asv publishes, complete by itself, drawn in a browser."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts" / "dashboard"

pytestmark = [
    # asv measures each commit of the project once; the browser is slow to start
    pytest.mark.timeout(240),
    pytest.mark.requires("program git", "file /usr/share/javascript/jquery-flot"),
    pytest.mark.requires(f"file {SCRIPTS}"),  # a source distribution has none
]


def built(project):
    """What is said while a dashboard is made."""
    done = project.dashboard("build")
    assert done.returncode == 0, done.stderr
    return done.stderr


def refused(project, *arguments, **options):
    """What is said about why there is no dashboard."""
    done = project.dashboard(*(arguments or ["build"]), **options)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert not project.site.joinpath("index.html").exists()
    return done.stderr


# What is published


@pytest.mark.requires("program chromium")
def test_every_page_is_drawn_without_a_network(published, tmp_path):
    done = published.dashboard("check", "--pictures", tmp_path / "pictures")
    assert done.stdout.endswith(" views, 0 findings\n"), done.stdout
    assert done.returncode == 0
    pictures = {path.stem for path in tmp_path.joinpath("pictures").glob("*.png")}
    kinds = {"grid", "list", "regressions", "regression", "lines", "sweep", "bars"}
    assert kinds <= pictures


@pytest.mark.requires("program chromium")
def test_one_commit_of_another_machine_is_drawn(project):
    done = project.dashboard("keep", "--machine", "reference")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(project.results)
    commit = project.add_newer_benchmarks()
    project.asv("machine", "--yes", "--machine", "other")
    project.measure(commit, machine="other", pattern="newer")
    built(project)
    index = project.published()
    assert index["params"]["machine"] == ["other", "reference"]
    absent = {Path(path).stem for path in index["absent_graphs"]}
    assert {"newer.Calls.track_call", "rows.Reads.track_read"} <= absent
    done = project.dashboard("check")
    assert done.stdout.endswith(" views, 0 findings\n"), done.stdout


@pytest.mark.requires("program chromium")
def test_check_sees_what_is_broken(published, tmp_path):
    project = published.copied(tmp_path / "project")
    site = project.site
    site.joinpath("libraries", "order_bars.js").write_text("console.error('Oh')")
    index = site / "index.html"
    image = '<img src="http://example.org/picture.png"><img src="none.png">'
    index.write_text(index.read_text().replace("</body>", f"{image}</body>"))
    done = project.dashboard("check")
    assert done.returncode == 1
    for finding in (
        "bars: bars lie over each other",
        "grid: console: Oh",
        "grid: asked example.org for /picture.png",
        "grid: status 404:",
        "index.html: http://example.org/picture.png is elsewhere",
        "index.html: no such file: none.png",
    ):
        assert finding in done.stdout


def test_a_slow_down_is_among_the_regressions(published):
    commits = published.published("index.json")["revision_to_hash"]
    found = {}
    for name, *_, jumps in published.published("regressions.json")["regressions"]:
        [(_, revision, before, after)] = jumps
        assert commits[str(revision)] == published.slower
        found[name] = after / before
    assert found.keys() == {
        "rows.track_mount",
        "rows.Reads.track_read(4096, 'native')",
        "rows.Reads.track_read(1048576, 'native')",
    }
    assert list(found.values()) == [pytest.approx(1.15, rel=0.02)] * 3


def test_intervals_are_published_with_the_values(published):
    [graph] = published.site.glob("graphs/branch-main/*/*/rows.Reads.track_read.json")
    for _, values, intervals in json.loads(graph.read_text()):
        for value, (low, high) in zip(values, intervals, strict=True):
            assert low < value < high
    [graph] = published.site.glob("graphs/branch-main/*/*/rows.track_mount.json")
    assert [len(point) for point in json.loads(graph.read_text())] == [2] * 4


def test_links_stay_in_the_dashboard(published):
    index, site = published.published(), published.site
    assert index["project_url"] == "commits.html"
    assert index["show_commit_url"] == "commits.html#"
    page = site.joinpath("commits.html").read_text()
    for number, commit in enumerate(published.commits):
        assert f'id="{commit}"' in page
        assert f'id="{commit[:8]}"' in page
        assert f"Commit &lt;{number}&gt;" in page
    for name in ("index.html", "error.html", "index.json", "commits.html"):
        assert not re.search("https?://", site.joinpath(name).read_text())


def test_libraries_come_with_their_notices(published):
    notices = {path.stem for path in published.site.glob("libraries/*.copyright")}
    assert {"libjs-jquery", "libjs-jquery-flot", "libjs-bootstrap"} <= notices


# Where results come from


def test_kept_results_are_shown_in_a_clone(project, tmp_path):
    done = project.dashboard("keep", "--machine", "reference")
    assert "benchmarks/history/reference has results of 4 commits" in done.stdout
    shutil.rmtree(project.root / ".asv")
    built(project)
    index = project.published()
    assert sorted(index["revision_to_hash"].values()) == sorted(project.commits)
    assert index["params"]["machine"] == ["reference"]


def test_results_of_other_commits_are_left_out(project):
    project.git("reset", "--quiet", "--hard", project.commits[-2])
    said = built(project)
    assert "not on a branch" in said
    assert project.commits[-1][:8] in said
    assert project.commits[-1] not in project.published()["revision_to_hash"].values()


def test_a_shallow_clone_shows_what_it_has(project):
    whole = project.root
    project.root = whole.with_name("clone")
    project.run(
        "git", "clone", "--quiet", "--depth=3", f"file://{whole}", project.root,
        at=whole,
    )  # fmt: skip
    shutil.copytree(whole / ".asv", project.root / ".asv")
    said = built(project)
    assert "shallow clone" in said
    assert "git fetch --unshallow" in said
    shown = project.published()["revision_to_hash"].values()
    assert sorted(shown) == sorted(project.commits[-3:])


def test_a_damaged_result_is_left_out(project):
    damaged = next(project.results.glob("sample/*-existing-*.json"))
    damaged.write_text('{"commit_hash": ')
    assert f"left out {damaged}: not readable as JSON" in built(project)


def test_benchmarks_without_results_have_no_graph(project):
    path = project.results / "benchmarks.json"
    benchmarks = json.loads(path.read_text())
    benchmarks["rows.new"] = benchmarks["rows.track_mount"] | {"name": "rows.new"}
    path.write_text(json.dumps(benchmarks))
    built(project)
    shown = project.published()["benchmarks"]
    assert "rows.track_mount" in shown
    assert "rows.new" not in shown
    assert "rows.Never.track_never" not in shown  # as no commit can do it
    assert "rows.Partly.track_partly" in shown


# What cannot be published


def test_no_results(project):
    shutil.rmtree(project.root / ".asv")
    assert "there are no results to show yet; make bench" in refused(project)


def test_not_a_git_checkout(project):
    shutil.rmtree(project.root / ".git")
    assert "is not a git checkout" in refused(project)


def test_without_asv(project):
    interpreter = [sys.executable, "-S", "-E"]  # without site-packages
    assert "asv is missing; run make dashboard" in refused(
        project, "build", interpreter=interpreter
    )


def test_without_the_libraries(project, tmp_path):
    said = refused(project, "build", "--share", tmp_path)
    assert f"missing {tmp_path}/javascript/jquery/jquery.min.js" in said
    assert "apt-get install libjs-bootstrap libjs-jquery libjs-jquery-flot" in said
    assert "node-blueimp-md5" in said


# How it is shown


@contextlib.contextmanager
def served(project, *arguments):
    process = subprocess.Popen(
        project.command("serve", *arguments), stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            line = process.stdout.readline()
            yield process, re.search("http://127.0.0.1:[0-9]+/", line)[0]
        finally:
            process.kill()


def test_serve_until_interrupted(published):
    with served(published, "--port=0") as (process, address):
        with urllib.request.urlopen(f"{address}index.html") as answer:
            assert answer.read() == published.site.joinpath("index.html").read_bytes()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_the_port_is_in_use(published):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = published.dashboard("serve", f"--port={port}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: port {port} is in use; choose another one")
    assert done.stderr.count("\n") == 1


def test_nothing_to_serve(project):
    assert "there is no dashboard" in refused(project, "serve", "--port=0")


def test_no_browser(published, tmp_path):
    done = published.dashboard("check", PATH=os.fspath(tmp_path))
    assert done.returncode == 1
    assert "chromium is not in PATH" in done.stderr

"""Makes the dashboard: asv's pages, complete by themselves."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import absent
import audit
import bounds
import commits
import libraries
import results
from errors import DashboardError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "asv.conf.json"
HISTORY = "benchmarks/history"
"""Results that the repository keeps."""


def warn(message: str) -> None:
    """Tells of something that is left out; the rest goes on."""
    print(f"warning: {message}", file=sys.stderr)


def build(root: Path, share: Path) -> Path:
    """Publishes all results of a checkout.

    Args:
        root: The directory of the checkout.
        share: Where the libraries of asv's page are installed.

    Returns:
        The directory of the dashboard.
    """
    if importlib.util.find_spec("asv") is None:
        raise DashboardError(
            "asv is missing; run make dashboard, which installs it, "
            "or pip install -r requirements/bench.txt"
        )
    repository = commits.Repository(root)
    libraries.require(share)
    config = _config(root)
    own = root / str(config.get("results_dir", "results"))
    gathered = own.with_name("dashboard-results")
    measured = results.gather(
        [root / HISTORY, own],
        into=gathered,
        known=repository.on_branches(config["branches"]),
        warn=warn,
    )
    if repository.is_shallow:
        warn(
            "this is a shallow clone: results of commits that it lacks are left out; "
            "git fetch --unshallow brings them"
        )
    if not measured:
        raise DashboardError("there are no results to show yet; make bench makes some")

    site = root / str(config.get("html_dir", "html"))
    _publish(root, config, gathered, site)
    absent.add(site)
    bounds.add(site, gathered)
    libraries.install(site, share)
    page = commits.page(config["project"], repository.commits(measured))
    (site / commits.PAGE).write_text(page, encoding="utf-8")
    if found := list(audit.findings(site)):
        raise DashboardError("the dashboard is not complete:\n" + "\n".join(found))
    return site


def keep(root: Path, machine: str) -> int:
    """Puts the results of this machine into the repository.

    Args:
        root: The directory of the checkout.
        machine: What the machine is called there.

    Returns:
        Of how many commits there are any.
    """
    config = _config(root)
    known = commits.Repository(root).on_branches(config["branches"])
    own = root / str(config.get("results_dir", "results"))
    if not (kept := results.keep(own, root / HISTORY, known, machine)):
        raise DashboardError(f"there are no results in {own}; make bench makes some")
    return kept


def _config(root: Path) -> dict[str, Any]:
    config = results.read(root / CONFIG)
    if not config.get("branches"):
        raise DashboardError(f"{CONFIG} names no branches")
    return config


def _publish(root: Path, config: dict[str, Any], gathered: Path, site: Path) -> None:
    """Lets asv write its pages, with links that stay in the dashboard."""
    changed = {
        "repo": str(root),
        "results_dir": str(gathered),
        "html_dir": str(site),
        "project_url": commits.PAGE,
        "show_commit_url": f"{commits.PAGE}#",
    }
    config_file = gathered / CONFIG
    config_file.write_text(json.dumps(config | changed), encoding="utf-8")
    command = [sys.executable, "-m", "asv", "--config", str(config_file), "publish"]
    done = subprocess.run(
        [*command, "--no-pull"], capture_output=True, text=True, check=False, cwd=root
    )
    for line in done.stdout.splitlines():
        if "Warn" in line or "warn" in line or "Couldn't" in line:
            warn(line.strip("· "))
    if done.returncode or not (site / "index.json").is_file():
        shutil.rmtree(site, ignore_errors=True)
        raise DashboardError(f"asv publish failed:\n{done.stdout}{done.stderr}".strip())

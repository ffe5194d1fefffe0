"""What git knows about the commits that were measured."""

from __future__ import annotations

import html
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from errors import DashboardError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PAGE = "commits.html"
"""Where the dashboard tells about commits; asv's pages link to it."""

_FIELDS = ("%H", "%h", "%cs", "%s", "%b")


@dataclass(frozen=True)
class Commit:
    """One that was measured."""

    full: str
    short: str
    date: str
    subject: str
    body: str
    changes: str
    """Which files it changed, and how much."""


class Repository:
    """A checkout of the project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if not (root / ".git").exists():
            raise DashboardError(
                f"{root} is not a git checkout: a dashboard shows results along the "
                "history of the project; clone it with git"
            )

    def git(self, *arguments: str) -> str:
        """What a git command prints."""
        command = ["git", "-C", str(self.root), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise DashboardError("git is not in PATH; install it") from None
        if done.returncode:
            reason = done.stderr.strip().partition("\n")[0].removeprefix("fatal: ")
            raise DashboardError(f"git {arguments[0]}: {reason}")
        return done.stdout

    @property
    def is_shallow(self) -> bool:
        """Whether the clone has a part of the history only."""
        return self.git("rev-parse", "--is-shallow-repository").strip() == "true"

    def on_branches(self, branches: Iterable[str]) -> set[str]:
        """All commits of the branches that the dashboard shows."""
        return {
            commit
            for branch in branches
            for commit in self.git("rev-list", branch).split()
        }

    def commits(self, hashes: Iterable[str]) -> list[Commit]:
        """What there is to tell about some commits, the newest first."""
        if not (wanted := list(hashes)):
            return []
        form = "%x1e" + "%x1f".join(_FIELDS) + "%x1f"
        log = self.git(
            "log", "--no-walk=sorted", "--date-order", "--stat", f"--format={form}",
            *wanted, "--",
        )  # fmt: skip
        entries = (entry.split("\x1f") for entry in log.split("\x1e")[1:])
        return [Commit(*(field.strip("\n") for field in entry)) for entry in entries]


def page(project: str, commits: Iterable[Commit]) -> str:
    """Tells about each commit, so that its links need no server with the source."""
    articles = "\n".join(map(_article, commits))
    title = f"Measured commits of {html.escape(project)}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="shortcut icon" href="swallow.ico">
<style>
body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }}
article {{ border-top: 1px solid #ccc }}
article:target, article:has(a:target) {{ background: #fff7d6 }}
h2 {{ font-size: 1.1em }}
pre {{ white-space: pre-wrap }}
</style>
</head>
<body>
<h1>{title}</h1>
<p><a href="index.html">All benchmarks</a></p>
{articles}
</body>
</html>
"""


def _article(commit: Commit) -> str:
    # asv links to both lengths of a hash
    subject, body, changes = map(
        html.escape, (commit.subject, commit.body.strip(), commit.changes)
    )
    return f"""<article id="{commit.full[:8]}">
<a id="{commit.full}"></a>
<h2><code>{commit.full[:8]}</code> {subject}</h2>
<p>{commit.date}, <code>{commit.full}</code></p>
<pre>{body}</pre>
<pre>{changes}</pre>
</article>"""

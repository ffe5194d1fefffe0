"""Benchmarks of fusesg, run by asv (asv.conf.json): `make bench`.

A process must not use a mount that it serves itself: asv leaves by `os._exit`, and
a timeout would leave the mount behind. So a benchmark that does I/O starts its
server in a process of its own.

asv.conf.json builds each commit once, not asv's default two times, and into a cargo
target directory outside the checkout, which asv cleans before each build. maturin
comes from pyproject.toml's build requirements.

asv takes lower for better throughout: report seconds, never rates.
"""

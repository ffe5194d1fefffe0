"""The benchmarks of fusesg, run by asv (asv.conf.json): `make bench`.

| module | measures |
|---|---|
| `data_path` | reading and writing through a mount, and through the in-process client |
| `metadata` | names and attributes, as directories grow |
| `memory` | what stays resident for each open file, inode and request |
| `start_up` | import, mount, unmount |
| `dispatch` | what a call of a Python method costs |
| `rust_micro` | the criterion benchmarks of the Rust core |

Lower is better throughout: seconds and bytes, never rates. A benchmark returns the
samples of its rounds (`_sampling`), of which asv keeps the median and its confidence
interval.

A process must not use a mount that it serves itself, so that a mount is served by
another one (`_server`), which unmounts and goes away when the benchmark's process does,
however that ends. What was left behind all the same, by a kill -9 of the server, the
next run removes (`_workspace`).

Without asv, `_workers` run the same benchmarks: for `make bench-quick`, once each
(`quick`), and for `make bench-compare`, on two commits by turns (`compare`). `builds`
makes wheels of commits. `studies/` are scripts for tables in the documentation.

Suites come from the working tree, and may meet a commit of fusesg that lacks what they
measure: only the inside of a benchmark imports fusesg, and raises `Unsupported`.
"""

"""Is one commit slower than another? `make bench-compare BASE=main HEAD=my-branch`.

Both are built (`builds`) and measured on this machine by turns, in pairs: base and
head, then head and base, each in new processes, so that what changes with time, or with
where a process happens to have its memory, meets both alike. What counts is the ratio
of each pair (`_statistics`).

First every benchmark has a few pairs. Those that are not clearly the same then have
many new ones, and only these decide: of a hundred benchmarks some look slower by
chance, but hardly twice.
"""

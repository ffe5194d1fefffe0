"""`fusesg statistics` and `fusesg top`: the numbers of mounts, from another process.

| concept | file |
|---|---|
| asking a mount, whether it is well or not | `_channel.py` |
| numbers, and what became of them between two moments | `_numbers.py` |
| how numbers are written | `_units.py` |
| what is shown | `_view.py` |
| a terminal that is drawn on again and again | `_screen.py` |
| the two commands | `_statistics.py`, `_top.py` |
"""

"""The examples of docs/client.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusesg.examples.hello import Hello

if TYPE_CHECKING:
    from fusesg.testing import MakeClient

TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
USE, _PLUGIN, TEST = BLOCK.findall(TEXT)


def test_use() -> None:
    exec(USE, {})


def test_fixture(fuse_client: MakeClient) -> None:
    names: dict[str, Any] = {"Hello": Hello}
    exec(TEST, names)
    names["test_hello"](fuse_client)

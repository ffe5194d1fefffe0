"""The fixture that the tests share; those named `fuse_…` come with fusesg."""

import json

import pytest

DOCUMENT = {
    "name": "jsonfs",
    "tags": ["small", "tested"],
    "nested": {"number": 1.5, "nothing": None, "a/b": "has no name"},
}


@pytest.fixture
def document(tmp_path):
    """The path of the document above."""
    path = tmp_path / "document.json"
    path.write_text(json.dumps(DOCUMENT))
    return path

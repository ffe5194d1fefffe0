"""What a client still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusesg._client import Client


def leaks(client: Client) -> list[str]:
    """What a client still holds; nothing, if all that was opened was closed.

    Args:
        client: An idle client. Of one that is closed nothing is known any more.

    Returns:
        A line for each kind of thing.
    """
    if client.closed:
        return []
    statistics = client.statistics()
    core = statistics["core"]
    held = {
        "open files": statistics["open_files"],
        "lookups not given back": statistics["lookups"],
        "handles of the file system": statistics["handles"],
        "requests without an answer": statistics["in_flight"],
        "callbacks that nobody waits for": statistics["given_up"]["running"],
        "requests": core["requests"]["outstanding"],
        "bytes of pages": core["pool"]["bytes_resident"] - core["pool"]["bytes_idle"],
    }
    return [f"{client!r}: {count} {what}" for what, count in held.items() if count]

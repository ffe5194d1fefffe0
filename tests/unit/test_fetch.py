"""`Fetch` as a value: what it takes, and where it may not be."""

import functools
import gc
import weakref

import pytest

import fusesg


def test_it_knows_its_source_and_length():
    fetch = fusesg.Fetch(bytes, 7)
    assert (fetch.source, fetch.length, len(fetch)) == (bytes, 7, 7)
    assert repr(fetch) == "Fetch(<class 'bytes'>, length=7)"


@pytest.mark.parametrize("source", [b"data", 7, "text", [bytes]])
def test_a_source_must_be_callable_or_awaitable(source):
    expected = "source must be a function without arguments or an awaitable, not "
    with pytest.raises(TypeError, match=expected + type(source).__name__):
        fusesg.Fetch(source, 7)


@pytest.mark.parametrize(
    ("length", "error"),
    [(-1, ValueError), (1 << 63, ValueError), ("7", TypeError), (None, TypeError)],
)
def test_a_length_must_be_possible(length, error):
    with pytest.raises(error, match="length"):
        fusesg.Fetch(bytes, length)


def test_a_segment_list_takes_none():
    fetch = fusesg.Fetch(bytes, 7)
    for make in (
        lambda: fusesg.SegmentList(fetch),
        lambda: fusesg.SegmentList([b"data", fetch]),
        lambda: fusesg.SegmentList([b"data", [fetch]]),
        lambda: fusesg.SegmentList() + fetch,
        lambda: fetch + fusesg.SegmentList(),
    ):
        with pytest.raises(
            TypeError, match=r"a Fetch is no data yet .* read may return"
        ):
            make()


def test_a_cycle_through_it_is_collected():
    class Source:
        def __call__(self):
            return b""

    source = Source()
    source.fetch = fusesg.Fetch(functools.partial(source), 1)
    gone = weakref.ref(source)
    del source
    gc.collect()
    assert gone() is None


def test_a_coroutine_is_no_function():
    async def get():
        return b""

    coroutine = get()
    assert fusesg.Fetch(coroutine, 1).source is coroutine
    coroutine.close()

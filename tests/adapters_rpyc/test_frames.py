"""The stream cut into messages, however it arrives and whatever its headers claim."""

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.adapters.rpyc import frames
from tashi.adapters.rpyc.plain import Malformed

LIMIT = 100_000


def gathered(stream: bytes, pieces: int) -> list[bytes]:
    gatherer = frames.Gatherer(LIMIT)
    messages = []
    for start in range(0, len(stream), pieces):
        gatherer.feed(stream[start : start + pieces])
        while (message := gatherer.take()) is not None:
            messages.append(message)
    return messages


def compressed(message: bytes) -> bytes:
    squeezed = zlib.compress(message)
    return frames.HEADER.pack(len(squeezed), 1) + squeezed + frames.END


@given(st.lists(st.binary(max_size=50)), st.integers(1, 60))
def test_messages_arrive_whole_however_they_are_chopped(messages: list[bytes], pieces: int) -> None:
    stream = b"".join(map(frames.frame, messages))

    assert gathered(stream, pieces) == messages


def test_a_compressed_message_arrives_inflated() -> None:
    assert gathered(compressed(b"x" * LIMIT), 1 << 16) == [b"x" * LIMIT]


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"\xff\xff\xff\xff\x00", id="a giant length"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
        pytest.param(frames.HEADER.pack(3, 2) + b"abc\n", id="a flag that is none"),
        pytest.param(frames.HEADER.pack(3, 0) + b"abcd", id="no newline at the end"),
        pytest.param(frames.frame(b"x" * (LIMIT + 1)), id="one byte too many"),
        pytest.param(compressed(b"x" * (LIMIT + 1)), id="one byte too many, inflated"),
        pytest.param(frames.HEADER.pack(3, 1) + b"abc\n", id="compressed rubbish"),
        pytest.param(compressed(b"x")[:-3] + b"yy\n", id="rubbish after what is compressed"),
    ],
)
def test_a_false_frame_is_refused(stream: bytes) -> None:
    with pytest.raises(Malformed):
        gathered(stream, 1 << 16)


def test_a_compressed_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    stream = frames.HEADER.pack(len(bomb), 1) + bomb + frames.END
    tracemalloc.start()

    with pytest.raises(Malformed):
        gathered(stream, 1 << 16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(bomb) < LIMIT
    assert peak < 8 * LIMIT


def test_nothing_is_set_aside_for_bytes_that_have_not_come() -> None:
    gatherer = frames.Gatherer(1 << 31)
    tracemalloc.start()

    gatherer.feed(frames.HEADER.pack(1 << 30, 0))
    message = gatherer.take()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert message is None
    assert peak < 10_000

"""The frame of a response: in one piece, in any pieces, with late headers, broken."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.wire.mapihttp import frame as frames
from mailmig.wire.mapihttp.frame import Frame, FrameReader
from mailmig.wire.mapihttp.octets import BODY_LIMIT, BadMapi

NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z-]{0,20}\Z").filter(
    lambda name: name.lower() != "x-responsecode"
)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)
FRAMES = st.builds(
    Frame,
    st.binary(max_size=200),
    st.lists(st.tuples(NAMES, VALUES), max_size=4).map(tuple),
    st.integers(0, 5),
)
LATE = (
    b"PROCESSING\r\nPENDING\r\nPENDING\r\nDONE\r\nX-ResponseCode: 10\r\nX-ElapsedTime: 1500\r\n"
    b"X-StartTime: Sat, 21 Nov 2026 21:50:07 GMT\r\n\r\n<html>late</html>"
)


@given(FRAMES)
def test_a_frame_that_was_written_is_read_again(frame: Frame) -> None:
    assert Frame.decode(frame.encode()) == frame


@given(FRAMES, st.data())
def test_a_frame_may_arrive_in_any_pieces(frame: Frame, data: st.DataObject) -> None:
    raw = frame.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    reader = FrameReader()
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        reader.feed(raw[start:end])
    assert Frame(*reader.finish()) == frame


def test_a_late_failure_overrides_and_tells_its_times() -> None:
    frame = Frame.decode(LATE)
    assert (frame.pending, frame.late_response_code, frame.elapsed) == (2, 10, 1500)
    assert frame.started == datetime(2026, 11, 21, 21, 50, 7, tzinfo=UTC)
    assert frame.body == b"<html>late</html>"
    assert frame.encode() == LATE


def test_a_frame_without_late_headers_has_none() -> None:
    frame = Frame.decode(b"PROCESSING\r\nDONE\r\n\r\n\r\nX-ResponseCode: 1\r\n\r\n")
    assert frame == Frame(b"\r\nX-ResponseCode: 1\r\n\r\n")
    assert (frame.late_response_code, frame.elapsed, frame.started) == (None, None, None)


def test_pending_is_read_without_its_line_end_too() -> None:
    raw = b"PROCESSING\r\nPENDINGPENDINGPENDING\r\nPENDINGDONE\r\nX-A: b\r\n\r\nbody"
    expected = Frame(b"body", (("X-A", "b"),), 4)
    assert Frame.decode(raw) == expected
    reader = FrameReader()
    for number in range(len(raw)):
        reader.feed(raw[number : number + 1])
    assert Frame(*reader.finish()) == expected


def test_a_client_sees_that_the_server_is_alive() -> None:
    reader = FrameReader()
    reader.feed(b"PROC")
    assert not reader.processing
    reader.feed(b"ESSING\r\nPENDING\r\n")
    assert reader.processing
    assert (reader.pending, reader.done) == (1, False)
    reader.feed(b"DONE\r\n")
    assert reader.done


@pytest.mark.parametrize("raw", [LATE, b"PROCESSING\r\nPENDINGDONE\r\n\r\nbody"])
def test_a_frame_that_is_cut_off_before_its_body_is_refused(raw: bytes) -> None:
    body = raw.index(b"\r\n\r\n") + 4
    for end in range(body):
        with pytest.raises(BadMapi, match=r"it ends (before|after) DONE") as caught:
            Frame.decode(raw[:end])
        assert caught.value.offset == end
    assert Frame.decode(raw[:body]).body == b""


@pytest.mark.parametrize(
    ("raw", "reason", "offset"),
    [
        (b"<html>not found</html>", "'<html>not fo' stands where PROCESSING", 0),
        (b"DONE\r\n\r\n", "'DONE\\r\\n\\r\\n' stands where PROCESSING", 0),
        (b"PROCESSING\nDONE\n\n", "stands where PROCESSING", 0),
        (b"PROCESSING\r\nWAITING\r\n", "'WAITING' stands where", 12),
        (b"PROCESSING\r\nDONE\nX", "stands where PROCESSING, PENDING or DONE", 12),
        (b"PROCESSING\r\nDONE\r\nno header\r\n\r\n", "'no header' stands where a header", 18),
        (b"PROCESSING\r\nDONE\r\nX A: b\r\n\r\n", "'X A: b' stands where a header", 18),
        (b"PROCESSING\r\nDONE\r\nX-A: b\x01\r\n\r\n", "stands where a header", 18),
        (b"PROCESSING\r\nDONE\r\nX-ResponseCode: ten\r\n\r\n", "is 'ten' and no number", 18),
        (b"PROCESSING\r\n" + b"PENDING\r\n" * 10_001, "more than 10,000 PENDING", 90_021),
        (b"PROCESSING\r\nDONE\r\n" + b"X-A: b\r\n" * 60, "too many extra headers", 426),
        (b"PROCESSING\r\nDONE\r\nX-A: " + b"b" * 20_000, "larger than what is read", 18),
    ],
    ids=lambda part: str(part)[:40],
)
def test_what_is_no_frame_is_refused_at_its_place(raw: bytes, reason: str, offset: int) -> None:
    with pytest.raises(BadMapi) as caught:
        Frame.decode(raw)
    assert reason in str(caught.value)
    assert caught.value.offset == offset


def test_a_body_beyond_the_limit_is_refused() -> None:
    head = Frame().encode()
    assert len(Frame.decode(head + bytes(BODY_LIMIT)).body) == BODY_LIMIT
    with pytest.raises(BadMapi, match="larger than what is read"):
        Frame.decode(head + bytes(BODY_LIMIT + 1))


@pytest.mark.parametrize(
    "frame",
    [
        Frame(headers=(("X-A", "b\r\nX-ResponseCode: 0"),)),
        Frame(headers=(("X A", "b"),)),
        Frame(headers=(("X-A", "b "),)),
        Frame(headers=(("X-A", "€"),)),
        Frame(headers=(("x-responsecode", "ten"),)),
        Frame(headers=(("X-A", "b"),) * 51),
        Frame(headers=(("X-A", "b" * 20_000),)),
        Frame(pending=-1),
        Frame(bytes(BODY_LIMIT + 1)),
    ],
    ids=lambda frame: repr(frame)[:60],
)
def test_a_frame_that_nobody_could_read_is_not_written(frame: Frame) -> None:
    with pytest.raises(BadMapi):
        frame.encode()


def test_times_of_a_server_are_read_as_they_were_said() -> None:
    moment = datetime(2026, 11, 21, 21, 50, 7, tzinfo=UTC)
    frame = Frame.decode(Frame(headers=frames.times(1500, moment)).encode())
    assert (frame.elapsed, frame.started) == (1500, moment)


@pytest.mark.parametrize("value", ["yesterday", "Sat, 99 Nov 2026 21:50:07 GMT", ""])
def test_times_that_are_none_are_unknown(value: str) -> None:
    frame = Frame(headers=(("X-StartTime", value), ("X-ElapsedTime", value)))
    assert (frame.started, frame.elapsed) == (None, None)

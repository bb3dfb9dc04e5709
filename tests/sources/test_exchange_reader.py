"""Messages in fragments, as pypsrp gets them, read by our reader."""

import struct
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypsrp.exceptions import FragmentError
from pypsrp.messages import MessageType
from pypsrp.powershell import Fragmenter
from pypsrp.serializer import Serializer

from mailmig.sources.exchange_reader import Fragments, as_obj
from mailmig.wire import clixml
from mailmig.wire.clixml import BrokenClixml, Obj

LARGE = 500_000


def message(text: str, kind: int = MessageType.PIPELINE_OUTPUT) -> bytes:
    return struct.pack("<II", 1, kind) + uuid.uuid4().bytes_le * 2 + text.encode()


def cut(number: int, content: bytes, size: int) -> list[bytes]:
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    last = len(pieces) - 1
    return [
        struct.pack(">QQBI", number, at, (at == 0) | (at == last) << 1, len(piece)) + piece
        for at, piece in enumerate(pieces)
    ]


@given(st.lists(st.text(max_size=200), max_size=8), st.integers(41, 300), st.integers(1, 4))
def test_objects_come_whole_however_they_are_cut(texts: list[str], size: int, at_once: int) -> None:
    fragments = Fragments(LARGE, Serializer())
    pieces = [
        piece
        for number, text in enumerate(texts)
        for piece in cut(number, message(clixml.dumps(text)), size)
    ]
    found = []
    for start in range(0, len(pieces), at_once):
        found += fragments.defragment(b"".join(pieces[start : start + at_once]))
    assert [one.data.data for one in found] == texts


def test_states_are_read_as_pypsrp_reads_them() -> None:
    text = '<Obj RefId="0"><MS><I32 N="PipelineState">4</I32></MS></Obj>'
    data = b"".join(cut(1, message(text, MessageType.PIPELINE_STATE), LARGE))
    ours, theirs = Fragments(LARGE, Serializer()), Fragmenter(LARGE, Serializer())
    readers: list[Any] = [ours, theirs]
    states = [reader.defragment(data)[0].data.state for reader in readers]
    assert states == [4, 4]


def test_a_byte_order_mark_is_no_part_of_an_object() -> None:
    data = message("\ufeff<S>x</S>")
    (found,) = Fragments(LARGE, Serializer()).defragment(cut(1, data, LARGE)[0])
    assert found.data.data == "x"


def test_fragments_that_do_not_fit_are_refused() -> None:
    first, second, *_ = cut(1, message("<S>" + "x" * 200 + "</S>"), 60)
    for data in (second, first + first[:10], first + cut(2, b"x" * 90, 30)[1], first[:-1]):
        with pytest.raises((FragmentError, struct.error)):
            Fragments(LARGE, Serializer()).defragment(data)
    with pytest.raises(BrokenClixml):
        Fragments(LARGE, Serializer()).defragment(cut(1, message("<S>"), LARGE)[0])


def test_bare_values_become_objects_with_a_value() -> None:
    assert as_obj("x") == Obj(text="x", value="x")
    assert as_obj(None) == Obj()
    assert as_obj("<Obj RefId='0'><ToString>y</ToString></Obj>").text == "y"
    assert as_obj("<Obj broken").value == "<Obj broken"
    assert as_obj({"k": [1]}).value == {"k": Obj(value=[1])}

"""The bytes of the protocol notes, and some laid out by hand, against the codec."""

import pytest

from mailmig.wire.mapihttp.octets import BODY_LIMIT, BadMapi
from mailmig.wire.mapihttp.rops import Logon
from tests.wire.mapihttp.samples import FOLDER, FROM_THE_NOTES, LOGON, SAMPLES, vector

SIZES = {
    "connect_request": 55,
    "execute_request_logon": 80,
    "execute_response_unknown_user": 40,
    "execute_response_redirect": 100,
    "bind_request": 45,
    "execute_response_logon": 200,
}


def test_every_vector_is_a_file_and_every_file_a_vector() -> None:
    assert {file.stem for file in FOLDER.glob("*.hex")} == set(SAMPLES)
    assert len(FROM_THE_NOTES) == 6


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_a_vector_has_as_many_bytes_as_its_source_says(name: str, size: int) -> None:
    assert len(vector(name)) == size


@pytest.mark.parametrize("name", SAMPLES)
def test_a_vector_is_read_and_reproduced_byte_by_byte(name: str) -> None:
    sample = SAMPLES[name]
    assert sample.decode(vector(name)) == sample.value
    assert sample.encode(sample.value) == vector(name)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_vector_that_is_cut_off_anywhere_is_refused(name: str) -> None:
    raw, decode = vector(name), SAMPLES[name].decode
    for end in range(len(raw)):
        with pytest.raises(BadMapi) as caught:
            decode(raw[:end])
        assert caught.value.offset is not None
        assert 0 <= caught.value.offset <= end, end


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {"connect_failure"}))
def test_a_vector_that_goes_on_is_refused(name: str) -> None:
    raw = vector(name)
    with pytest.raises(BadMapi, match="come after its end") as caught:
        SAMPLES[name].decode(raw + b"\0")
    assert caught.value.offset == len(raw)


def test_the_error_says_what_where_and_why() -> None:
    with pytest.raises(BadMapi) as caught:
        SAMPLES["connect_request"].decode(vector("connect_request")[:37])
    assert str(caught.value) == (
        "Connect request, byte 35: it ends in Flags: 4 bytes wanted, 2 are there"
    )
    assert (caught.value.what, caught.value.offset) == ("Connect request", 35)


def test_a_body_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(BadMapi, match=f"1,048,577 bytes; {BODY_LIMIT:,} are read"):
        SAMPLES["bind_request"].decode(bytes(BODY_LIMIT + 1))


def test_the_logon_alone_is_50_bytes() -> None:
    raw = LOGON.encode()
    assert len(raw) == 50
    assert raw in vector("execute_request_logon")
    assert Logon.decode(raw) == LOGON

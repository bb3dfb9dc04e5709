"""An independent implementation (pypsrp) reads what we write, and we read what it writes.

pypsrp leaves times, decimals and versions as text and keeps no difference between kinds of
integers, so that is how the two are compared.
"""

from uuid import UUID
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypsrp.complex_objects import GenericComplexObject
from pypsrp.serializer import Serializer, TaggedValue

from mailmig.wire import clixml

# pypsrp writes only what UTF-16 can hold, and XML cannot hold U+FFFE and U+FFFF.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=30
)
NAMES = st.from_regex("[A-Za-z][A-Za-z0-9]{0,20}", fullmatch=True)  # it decodes no names
GUID = UUID("792e5b37-4505-47ef-b7d2-8711bb7affa8")


def theirs(value: object) -> str:
    element = Serializer().serialize(value)
    assert element is not None
    return ElementTree.tostring(element, encoding="unicode")


@pytest.mark.parametrize(
    ("tag", "value", "ours"),
    [
        ("S", "a_x0041_b\r\n😀", "a_x0041_b\r\n😀"),
        ("C", "a", clixml.Char("a")),
        ("B", True, True),
        ("By", 255, clixml.UInt8(255)),
        ("I16", -5, clixml.Int16(-5)),
        ("U16", 5, clixml.UInt16(5)),
        ("I32", -5, -5),
        ("U32", 5, clixml.UInt32(5)),
        ("I64", 2**40, 2**40),
        ("U64", 2**63, 2**63),
        ("U64", 5, clixml.UInt64(5)),
        ("Db", 0.5, 0.5),
        ("Sg", 0.5, clixml.Single(0.5)),
        ("BA", b"\0\1\2", b"\0\1\2"),
        ("G", GUID, GUID),
        ("URI", "https://a.example/ä", clixml.Uri("https://a.example/ä")),
        ("Version", "15.2.986.5", clixml.Version("15.2.986.5")),
        ("XD", "<a />", clixml.XmlText("<a />")),
        ("SBK", "$_ -gt 5", clixml.Script("$_ -gt 5")),
    ],
)
def test_primitives_agree_both_ways(tag: str, value: object, ours: clixml.Value) -> None:
    [read] = clixml.loads(theirs(TaggedValue(tag, value)))
    assert (type(read), read) == (type(ours), ours)
    assert Serializer().deserialize(clixml.dumps(ours)) == value


@given(TEXTS)
def test_texts_agree_both_ways(text: str) -> None:
    assert clixml.loads(theirs(text)) == [text]
    assert Serializer().deserialize(clixml.dumps(text)) == text


@given(st.dictionaries(NAMES, TEXTS, max_size=4), st.dictionaries(NAMES, st.booleans()), TEXTS)
def test_objects_agree_both_ways(
    adapted: dict[str, clixml.Value], extended: dict[str, clixml.Value], text: str
) -> None:
    types = ("Microsoft.Exchange.Data.Directory.Management.Mailbox", "System.Object")
    ours = clixml.Obj(types, text, adapted, extended)

    stranger = Serializer().deserialize(clixml.dumps(ours))
    assert isinstance(stranger, GenericComplexObject)
    assert (tuple(stranger.types), stranger.to_string) == (types, text)
    assert (stranger.adapted_properties, stranger.extended_properties) == (adapted, extended)

    [read] = clixml.loads(theirs(stranger))
    assert read == ours


def test_a_mailbox_with_nested_objects_is_understood_by_the_stranger() -> None:
    quota = clixml.Obj(
        ("Deserialized.Microsoft.Exchange.Data.Unlimited`1[[X]]", "System.Object"),
        "2 GB (2,147,483,648 bytes)",
        {"IsUnlimited": False, "Value": "2 GB (2,147,483,648 bytes)"},
    )
    addresses = clixml.Obj(
        ("Deserialized.System.Collections.ArrayList", "Deserialized.System.Object"),
        value=["SMTP:anna@stadt.example", "smtp:a@stadt.example"],
    )
    table = clixml.Obj(("System.Collections.Hashtable", "System.Object"), value={"k": 1, "n": None})
    mailbox = clixml.Obj(
        ("Deserialized.Microsoft.Exchange.Data.Directory.Management.Mailbox", "System.Object"),
        "Anna",
        {"Quota": quota, "Addresses": addresses, "Table": table, "Archive": None, "Again": quota},
    )
    stranger = Serializer().deserialize(clixml.dumps(mailbox))
    properties = stranger.adapted_properties
    assert properties["Quota"].to_string == "2 GB (2,147,483,648 bytes)"
    assert properties["Quota"].adapted_properties["IsUnlimited"] is False
    assert properties["Addresses"] == ["SMTP:anna@stadt.example", "smtp:a@stadt.example"]
    assert properties["Table"] == {"k": 1, "n": None}
    assert properties["Archive"] is None
    assert properties["Again"] is properties["Quota"]


def test_lists_and_tables_of_the_stranger_are_read() -> None:
    [read] = clixml.loads(theirs(["a", 1, None, {"k": ["b"]}]))
    first, second, third, table = clixml.items(read)
    assert [first, second, third] == ["a", 1, None]
    assert isinstance(table, clixml.Obj) and isinstance(table.value, dict)
    assert clixml.items(table.value["k"]) == ["b"]

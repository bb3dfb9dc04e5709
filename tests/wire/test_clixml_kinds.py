"""Each kind of node, as the format's document and real files write it."""

import io
import math
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from mailmig.wire import clixml

NAMESPACE = "http://schemas.microsoft.com/powershell/2004/04"

EARLIEST = datetime.min  # noqa: DTZ901 - .NET writes both ends without a zone
LATEST = datetime.max  # noqa: DTZ901


def objs(inside: str) -> bytes:
    return f'<Objs Version="1.1.0.1" xmlns="{NAMESPACE}">{inside}</Objs>'.encode()


def one(inside: str) -> clixml.Value:
    """The one value, which a file and a message of remote PowerShell must agree on."""
    [message] = clixml.loads(inside)
    [filed] = clixml.read(io.BytesIO(objs(inside)))
    assert repr(message) == repr(filed)  # NaN differs from itself
    assert type(message) is type(filed)
    return message


def obj(inside: str) -> clixml.Obj:
    value = one(f'<Obj RefId="0">{inside}</Obj>')
    assert isinstance(value, clixml.Obj)
    return value


PRIMITIVES = [
    ("<S>Rathaus, Zi. 12</S>", "Rathaus, Zi. 12", str),
    ("<S></S>", "", str),
    ("<S />", "", str),
    ("<S>  two blanks  </S>", "  two blanks  ", str),
    ("<S>a &lt;b&gt; &amp; &quot;c&quot; &apos;d&apos; &#233;&#xE9;</S>", "a <b> & \"c\" 'd' éé", str),
    ("<S><![CDATA[a <b> & c]]></S>", "a <b> & c", str),
    ("<S>one<!-- remark -->two</S>", "onetwo", str),
    ("<C>97</C>", "a", clixml.Char),
    ("<C>0</C>", "\0", clixml.Char),
    ("<C>55357</C>", "\ud83d", clixml.Char),
    ("<B>true</B>", True, bool),
    ("<B>false</B>", False, bool),
    ("<By>254</By>", 254, clixml.UInt8),
    ("<SB>-127</SB>", -127, clixml.Int8),
    ("<U16>65535</U16>", 65535, clixml.UInt16),
    ("<I16>-32767</I16>", -32767, clixml.Int16),
    ("<U32>4294967295</U32>", 4294967295, clixml.UInt32),
    ("<I32>-2147483648</I32>", -2147483648, int),
    ("<U64>18446744073709551615</U64>", 18446744073709551615, int),
    ("<U64>5</U64>", 5, clixml.UInt64),
    ("<I64>-9223372036854775808</I64>", -9223372036854775808, int),
    ("<I64>1</I64>", 1, clixml.Int64),
    ("<Sg>12.34</Sg>", 12.34, clixml.Single),
    ("<Db>12.34</Db>", 12.34, float),
    ("<Db>1E-05</Db>", 1e-05, float),
    ("<Db>INF</Db>", math.inf, float),
    ("<Db>-INF</Db>", -math.inf, float),
    ("<D>12.340</D>", Decimal("12.340"), Decimal),
    ("<DT>2008-04-11T10:42:32.2731993-07:00</DT>",
     datetime(2008, 4, 11, 10, 42, 32, 273199, timezone(timedelta(hours=-7))), datetime),
    ("<DT>2021-10-06T19:24:05Z</DT>", datetime(2021, 10, 6, 19, 24, 5, tzinfo=UTC), datetime),
    ("<DT>9999-12-31T23:59:59.9999999</DT>", LATEST, datetime),
    ("<DT>0001-01-01T00:00:00</DT>", EARLIEST, datetime),
    ("<TS>PT9.0269026S</TS>", timedelta(seconds=9, microseconds=26902), timedelta),
    ("<TS>P1DT2H3M4S</TS>", timedelta(1, 4, hours=2, minutes=3), timedelta),
    ("<TS>-P2DT0.5S</TS>", -timedelta(2, 0.5), timedelta),
    ("<TS>P10675199DT2H48M5.4775807S</TS>",
     timedelta(10675199, 5, 477580, hours=2, minutes=48), timedelta),
    ("<TS>PT0S</TS>", timedelta(0), timedelta),
    ("<BA>AQIDBA==</BA>", b"\1\2\3\4", bytes),
    ("<BA>AQID\n  BA==</BA>", b"\1\2\3\4", bytes),
    ("<BA />", b"", bytes),
    ("<G>792e5b37-4505-47ef-b7d2-8711bb7affa8</G>",
     UUID("792e5b37-4505-47ef-b7d2-8711bb7affa8"), UUID),
    ("<URI>https://mail.example.test/owa</URI>", "https://mail.example.test/owa", clixml.Uri),
    ("<Version>15.2.986.5</Version>", "15.2.986.5", clixml.Version),
    ("<XD>&lt;a&gt;&lt;b /&gt;&lt;/a&gt;</XD>", "<a><b /></a>", clixml.XmlText),
    ("<SBK>get-command -type cmdlet</SBK>", "get-command -type cmdlet", clixml.Script),
    ("<Nil />", None, type(None)),
]  # fmt: skip


@pytest.mark.parametrize(("written", "value", "kind"), PRIMITIVES, ids=[p[0] for p in PRIMITIVES])
def test_a_primitive_comes_out_with_its_kind(written: str, value: object, kind: type) -> None:
    read = one(written)
    assert read == value
    assert type(read) is kind


def test_a_number_that_is_none_stays_none() -> None:
    assert math.isnan(one("<Db>NaN</Db>"))  # type: ignore[arg-type]


def test_a_time_with_a_zone_is_aware_and_one_without_is_naive() -> None:
    aware, naive = one("<DT>2021-10-06T19:24:05Z</DT>"), one("<DT>0001-01-01T00:00:00</DT>")
    assert isinstance(aware, datetime) and aware.tzinfo is not None
    assert isinstance(naive, datetime) and naive.tzinfo is None


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("line one_x000D__x000A_line two", "line one\r\nline two"),
        ("_x005F_x0041_", "_x0041_"),
        ("snake_case and _x", "snake_case and _x"),
        ("_xd83d__xde00_", "😀"),
        ("_xD83D_ alone", "\ud83d alone"),
        ("_xDE00__xD83D_", "\ude00\ud83d"),
        ("😀", "😀"),
        ("_X0009_", "\t"),
        ("_x00zz_ _x12_", "_x00zz_ _x12_"),
        ("_x0000_", "\0"),
    ],
)
def test_escapes_are_resolved_in_texts_and_names(written: str, text: str) -> None:
    read = obj(
        f'<TN RefId="0"><T>{written}</T></TN><ToString>{written}</ToString>'
        f'<Props><S N="{written}">{written}</S></Props><MS><I32 N="{written}">1</I32></MS>'
    )
    assert read == clixml.Obj((text,), text, {text: text}, {text: 1})


def test_a_secure_string_is_a_placeholder_without_content() -> None:
    read = obj('<Props><SS N="Password">c2VjcmV0</SS></Props>')
    secret = read["Password"]
    assert repr(secret) == str(secret) == format(secret) == "***"
    assert not hasattr(secret, "__dict__")
    assert secret == clixml.SecureString()
    assert "c2Vj" not in repr(read.properties)


def test_a_serialization_blob_is_left_out_and_not_even_decoded() -> None:
    read = obj(
        '<Props><S N="Name">DB01</S></Props><MS><BA N="SerializationData">*no base64*</BA>'
        '<S N="PSComputerName">ex1</S></MS>'
    )
    assert read.extended == {"PSComputerName": "ex1"}
    assert "SerializationData" not in read


def test_other_byte_arrays_and_other_kinds_of_that_name_are_kept() -> None:
    read = obj('<MS><S N="SerializationData">text</S><BA N="RawData">AQI=</BA></MS>')
    assert read.extended == {"SerializationData": "text", "RawData": b"\1\2"}


@pytest.mark.parametrize(
    ("tag", "kind"),
    [("LST", list), ("IE", clixml.Enumerable), ("STK", clixml.Stack), ("QUE", clixml.Queue)],
)
def test_a_container_keeps_its_kind_and_order(tag: str, kind: type[list[clixml.Value]]) -> None:
    read = obj(
        '<TN RefId="0"><T>System.Collections.ArrayList</T><T>System.Object</T></TN>'
        f'<{tag}><S>one</S><Nil /><Obj RefId="1"><{tag} /></Obj><I32>4</I32></{tag}>'
    )
    assert type(read.value) is kind
    empty: clixml.Container = kind()
    assert clixml.items(read) == ["one", None, clixml.Obj(value=empty), 4]


def test_a_dictionary_keeps_keys_of_every_kind() -> None:
    read = obj(
        '<TN RefId="0"><T>System.Collections.Hashtable</T><T>System.Object</T></TN><DCT>'
        '<En><S N="Key">Server</S><S N="Value">EX1</S></En>'
        '<En><I32 N="Key">2</I32><Nil N="Value" /></En>'
        '<En><Obj N="Key" RefId="1"><TN RefId="1"><T>My.Color</T><T>System.Enum</T></TN>'
        '<ToString>Red</ToString><I32>1</I32></Obj><B N="Value">true</B></En></DCT>'
    )
    assert isinstance(read.value, dict)
    red = clixml.Obj(("My.Color", "System.Enum"), "Red", value=1)
    assert read.value == {"Server": "EX1", 2: None, red: True}


def test_an_enum_gives_name_and_number() -> None:
    kind = obj(
        '<TN RefId="0"><T>Microsoft.Exchange.Data.Directory.Recipient.RecipientTypeDetails</T>'
        "<T>System.Enum</T><T>System.ValueType</T><T>System.Object</T></TN>"
        "<ToString>SharedMailbox</ToString><I64>4</I64>"
    )
    assert kind.enum == ("SharedMailbox", 4)
    assert type(kind.value) is clixml.Int64
    through_remoting = obj(
        '<TN RefId="0"><T>Deserialized.X.Y</T><T>Deserialized.System.Enum</T></TN>'
        "<ToString>Active</ToString><I32>1</I32>"
    )
    assert through_remoting.enum == ("Active", 1)
    assert obj("<ToString>7</ToString><I32>7</I32>").enum is None


def test_a_primitive_with_added_properties_is_an_object_with_a_value() -> None:
    read = obj('<S>EX1</S><MS><S N="PSPath">C:\\log</S></MS>')
    assert read.value == "EX1"
    assert read.get("pspath") == "C:\\log"


def test_a_group_of_members_is_a_member_set() -> None:
    read = obj('<MS><MS N="PSStandardMembers"><S N="Default">Name</S></MS></MS>')
    assert read["PSStandardMembers"] == clixml.MemberSet(Default="Name")


def test_a_progress_record_is_read_with_and_without_operation() -> None:
    rest = "<PI>-1</PI><PC>40</PC><T>Processing</T><SR>-1</SR><SD>40 of 100</SD></PR>"
    read = one(f"<PR><AV>Moving</AV><AI>3</AI><Nil />{rest}")
    assert read == clixml.Progress("Moving", 3, None, -1, 40, "Processing", -1, "40 of 100")
    read = obj(f'<MS><PR N="Record"><AV>Moving</AV><AI>3</AI><S>copying</S>{rest}</MS>')["Record"]
    assert isinstance(read, clixml.Progress)
    assert read.operation == "copying"


def test_type_lists_are_shared_through_the_whole_file() -> None:
    first, second = clixml.loads(
        objs(
            '<Obj RefId="0"><TN RefId="0"><T>A</T><T>B</T></TN></Obj>'
            '<Obj RefId="1"><Props><Obj N="x" RefId="2"><TNRef RefId="0" /></Obj></Props></Obj>'
        )
    )
    assert isinstance(first, clixml.Obj) and isinstance(second, clixml.Obj)
    inner = second["x"]
    assert isinstance(inner, clixml.Obj)
    assert inner.types is first.types
    assert first.types == ("A", "B")
    assert second.types == ()


def test_a_reference_gives_the_very_same_object_across_objects_too() -> None:
    first, second, third = clixml.loads(
        objs(
            '<Obj RefId="0"><Props><Obj N="Org" RefId="1"><ToString>town</ToString></Obj>'
            '<Ref N="Same" RefId="1" /></Props></Obj>'
            '<Obj RefId="2"><Props><Ref N="Org" RefId="1" /></Props></Obj><Ref RefId="0" />'
        )
    )
    assert isinstance(first, clixml.Obj) and isinstance(second, clixml.Obj)
    assert first["Org"] is first["Same"] is second["Org"]
    assert third is first


def test_an_object_may_refer_to_itself() -> None:
    text = (
        '<Obj RefId="0"><Props><Ref N="Me" RefId="0" /><Obj N="List" RefId="1"><LST>'
        '<Ref RefId="0" /></LST></Obj></Props></Obj>'
    )
    [one_time], [other_time] = clixml.loads(text), clixml.loads(text)
    assert isinstance(one_time, clixml.Obj)
    assert one_time["Me"] is one_time
    assert clixml.items(one_time["List"])[0] is one_time
    assert one_time == other_time
    assert repr(one_time) == "<Obj object None, 2 properties>"


def shared(every: int) -> list[clixml.Value]:
    """15 MB of objects; each `every` of them names the object inside the first one."""
    filler = f'<S N="Filler">{"x" * 100_000}</S>'
    inner = '<Obj N="Org" RefId="s"><ToString>town</ToString></Obj><Ref N="Id" RefId="s" />'
    first = f'<Obj RefId="0"><Props>{filler}{inner}</Props></Obj>'
    later = "".join(
        f'<Obj RefId="{n}"><Props>{filler}{"" if n % every else same}</Props></Obj>'
        for same in ['<Ref N="Org" RefId="s" />']
        for n in range(1, 150)
    )
    return list(clixml.read(io.BytesIO(objs(first + later))))


@pytest.mark.parametrize("every", [1, 30])
def test_a_shared_object_stays_in_reach_as_long_as_it_is_in_use(every: int) -> None:
    found = [v["Org"] for v in shared(every) if isinstance(v, clixml.Obj) and "Org" in v]
    assert len(found) == 1 + 149 // every
    assert len({id(organisation) for organisation in found}) == 1


def test_a_shared_object_that_is_long_out_of_use_ends_the_reading() -> None:
    with pytest.raises(clixml.BrokenClixml, match="object 101: a Ref names the RefId 's', which"):
        shared(100)


def test_an_object_that_nobody_refers_to_is_dropped_so_that_memory_stays_flat() -> None:
    reader = clixml.read(
        io.BytesIO(
            objs(
                "".join(
                    f'<Obj RefId="{n}"><MS><S N="a">{"x" * 100_000}</S></MS></Obj>'
                    for n in range(150)
                )
                + '<Ref RefId="0" />'
            )
        ),
        partial=True,
    )
    assert sum(1 for _ in reader) == 150
    assert reader.broken is not None
    assert reader.broken.object_number == 151
    assert "RefId '0', which no object within reach has" in reader.broken.reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_and_without_a_mark(encoding: str) -> None:
    text = objs(
        '<S>Bürgerbüro 中 😀</S><Obj RefId="0"><Props><S N="ä">ö</S></Props></Obj>'
    ).decode()
    data = text.encode(encoding)
    assert list(clixml.read(io.BytesIO(data))) == clixml.loads(data) == clixml.loads(text)
    assert clixml.loads(data)[0] == "Bürgerbüro 中 😀"


def test_utf_16_of_the_other_byte_order_is_read() -> None:
    other = "utf-16-be" if sys.byteorder == "little" else "utf-16-le"
    data = ("\ufeff" + objs("<S>ä</S>").decode()).encode(other)
    assert clixml.loads(data) == ["ä"]


@pytest.mark.parametrize(
    "prolog",
    ['<?xml version="1.0" encoding="utf-8"?>', "<?xml version='1.0'?>\r\n<!-- a remark -->",
     "#< CLIXML\r\n", "\r\n  "],
)  # fmt: skip
def test_what_may_stand_in_front_of_the_root(prolog: str) -> None:
    data = prolog.encode() + objs("<S>a</S>")
    assert clixml.loads(data) == list(clixml.read(io.BytesIO(data))) == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        "<Objs xmlns='{}'><Obj><MS><S N='a'>b</S></MS></Obj></Objs>",
        '<Objs xmlns="{}"><Obj><MS><S N="a">b</S></MS></Obj></Objs>',
        '<Objs\nVersion="1.1.0.1"\nxmlns="{}"\n><Obj><MS><S N="a">b</S></MS></Obj></Objs>',
        '<?xml version="1.0"?><Objs xmlns="{}"><Obj><MS><S N="a">b</S></MS></Obj></Objs>',
        '<p:Objs xmlns:p="{}"><p:Obj><p:MS><p:S N="a">b</p:S></p:MS></p:Obj></p:Objs>',
        '<Objs xmlns="{}"><Obj xmlns=""><MS><S N="a">b</S></MS></Obj></Objs>',
        '<Objs><Obj xmlns="{}"><MS><S N="a">b</S></MS></Obj></Objs>',
        '<Obj xmlns="{}"><MS><S N="a">b</S></MS></Obj>',
        '<Obj><MS><S N="a">b</S></MS></Obj>',
    ],
)
def test_the_namespace_may_be_there_in_any_way_or_not(text: str) -> None:
    data = text.format(NAMESPACE).encode()
    wanted = [clixml.Obj(extended={"a": "b"})]
    assert list(clixml.read(io.BytesIO(data))) == clixml.loads(data) == wanted
    assert clixml.loads(b"\xef\xbb\xbf" + data) == wanted


@pytest.mark.parametrize(
    "text",
    [
        '<Objs xmlns="urn:other"><S>a</S></Objs>',
        '<Objs xmlns="{}"><S xmlns="urn:other">a</S></Objs>',
        '<Objs xmlns="{}"><Obj><MS xmlns="urn:other"><S N="a">a</S></MS></Obj></Objs>',
        '<Objs xmlns="{}" xmlns:p="urn:other"><Obj><p:MS><S N="a">a</S></p:MS></Obj></Objs>',
    ],
)
def test_nodes_of_another_namespace_are_none_of_ours(text: str) -> None:
    with pytest.raises(clixml.BrokenClixml, match=r"unknown element <\{urn:other\}|its root is"):
        clixml.loads(text.format(NAMESPACE))


def test_text_in_memory_may_still_name_the_encoding_it_once_had() -> None:
    assert clixml.loads('<?xml version="1.0" encoding="utf-16"?><S>ä</S>') == ["ä"]


def test_a_file_of_nothing_is_no_broken_file() -> None:
    assert clixml.loads(objs("")) == []
    assert clixml.loads(f'<Objs Version="1.1.0.1" xmlns="{NAMESPACE}" />') == []


def test_properties_are_found_extended_first_and_without_regard_to_case() -> None:
    read = obj(
        '<Props><S N="Name">adapted</S><S N="Guid">g</S></Props><MS><S N="Name">extended</S></MS>'
    )
    assert read["Name"] == read["name"] == read.get("NAME") == "extended"
    assert "guid" in read and "Missing" not in read and 1 not in read
    assert read.get("Missing") is None
    assert read.get("Missing", 5) == 5
    assert read.properties == {"Name": "extended", "Guid": "g"}
    with pytest.raises(KeyError, match="Missing"):
        read["Missing"]


def test_a_property_that_is_null_is_there() -> None:
    read = obj('<MS><Nil N="ArchiveGuid" /></MS>')
    assert "ArchiveGuid" in read
    assert read["ArchiveGuid"] is read.get("ArchiveGuid", 5) is None


@pytest.mark.parametrize("prefix", ["", "Deserialized.", "Selected.", "Deserialized.Selected."])
def test_a_type_is_known_by_its_name_whatever_came_in_between(prefix: str) -> None:
    read = clixml.Obj((f"{prefix}Microsoft.Exchange.Data.Mailbox", "System.Object"))
    assert read.is_a("Microsoft.Exchange.Data.Mailbox")
    assert read.is_a("System.Object")
    assert not read.is_a("Mailbox")
    assert not read.is_a("Microsoft.Exchange.Data")


def test_items_of_everything_that_is_a_list_to_powershell() -> None:
    assert clixml.items(None) == []
    assert clixml.items("one") == ["one"]
    assert clixml.items([1, 2]) == [1, 2]
    assert clixml.items(clixml.Obj(value=clixml.Queue([1, 2]))) == [1, 2]
    alone = clixml.Obj(text="alone")
    assert clixml.items(alone) == [alone]
    with pytest.raises(TypeError):
        clixml.items({"a": 1})


def test_objects_are_equal_when_all_their_parts_are() -> None:
    def make(**changed: object) -> clixml.Obj:
        parts: dict[str, object] = {
            "types": ("A",), "text": "t", "adapted": {"p": 1}, "extended": {"m": 2}, "value": [3],
        }  # fmt: skip
        return clixml.Obj(**(parts | changed))  # type: ignore[arg-type]

    assert make() == make()
    assert hash(make()) == hash(make())
    changes: list[dict[str, object]] = [
        {"types": ("B",)}, {"text": None}, {"adapted": {"p": 2}}, {"adapted": {"q": 1}},
        {"extended": {}}, {"value": [4]}, {"value": [3, 3]}, {"value": clixml.Stack([3])},
        {"value": {3: 3}}, {"value": None},
    ]  # fmt: skip
    for changed in changes:
        assert make() != make(**changed), changed

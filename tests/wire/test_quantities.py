"""Sizes, quotas, versions, times and names as Exchange prints them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.model.organisation import NO_BUILD, version_name
from mailmig.model.quota import UNKNOWN, UNLIMITED
from mailmig.wire import clixml
from mailmig.wire import quantities as q
from mailmig.wire.clixml import Obj
from mailmig.wire.quantities import BadValue, LostList, Size

# Real texts of exports (migration.md 1.1), and what no real session has been seen to print.
EXACT = {
    "36 MB (37,748,736 bytes)": 37_748_736,
    "256 KB (262,144 bytes)": 262_144,
    "2 GB (2,147,483,648 bytes)": 2_147_483_648,
    "1.899 GB (2,039,480,320 bytes)": 2_039_480_320,
    "0 B (0 bytes)": 0,
    "1,899 GB (2.039.480.320 Bytes)": 2_039_480_320,
    "1,899 Go (2 039 480 320 octets)": 2_039_480_320,
    "2 Go (2\u202f147\u202f483\u202f648 octets)": 2_147_483_648,
    "2 GB (2\u00a0147\u00a0483\u00a0648 bytes)": 2_147_483_648,
    "2 GB (2'147'483'648 Bytes)": 2_147_483_648,
    "2 GB (2’147’483’648 Bytes)": 2_147_483_648,
    "6672B": 6672,
    "6672": 6672,
    "2,039,480,320": 2_039_480_320,
    " 12 bytes ": 12,
}
ROUNDED = {
    "1.899 GB": 2_039_035_724,
    "1,899 GB": 2_039_035_724,
    "2 Go": 2_147_483_648,
    "500 MB": 524_288_000,
    "1.5 TB": 1_649_267_441_664,
    "36\u00a0MB": 37_748_736,
    "1,234,567 KB": 1_264_196_608,
}
NO_SIZES = [
    "", "   ", "Unlimited", "abc", "GB", "-5", "-1 KB", "1e9", "1.5", "12 parsecs", "2 GB ()",
    "2 GB (x)", "(", ")", "2 GB (12", "2 GB (12 bytes", "1.2.3,4,5", "1,23 bytes",
    "18446744073709551616", "99999999 TB", "9" * 5000, "٣ KB", True, False, None, -1, 2**64, 1.5,
    float("nan"), float("inf"), Decimal("sNaN"), b"12", [1], {"a": 1}, object(),
]  # fmt: skip

KB_QUOTAS = st.integers(0, 2**31 - 1).map(lambda kb: kb * 1024)
GROUPS = st.sampled_from([",", ".", "'", "’", " ", "\u00a0", "\u202f", ""])
FUNCTIONS: list[Callable[[object], object]] = [
    q.size, q.optional_size, q.quota, q.build, q.duration, q.name_of, q.canonical, q.enum_name,
    q.flag, q.moment, q.texts,
]  # fmt: skip


def unlimited(text: str, **properties: object) -> Obj:
    return Obj(
        ("Microsoft.Exchange.Data.Unlimited`1[[Microsoft.Exchange.Data.ByteQuantifiedSize]]",),
        text,
        properties,  # type: ignore[arg-type]
    )


# Sizes and quotas -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", EXACT)
def test_the_number_in_parentheses_or_of_bytes_is_exact(text: str) -> None:
    assert q.size(text) == Size(EXACT[text])
    assert q.size(Obj(("Microsoft.Exchange.Data.ByteQuantifiedSize",), text)) == Size(EXACT[text])


@pytest.mark.parametrize("text", ROUNDED)
def test_the_short_part_alone_is_approximate(text: str) -> None:
    assert q.size(text) == Size(ROUNDED[text], approximate=True)


@pytest.mark.parametrize(
    "value", NO_SIZES, ids=lambda value: repr(value).partition(" at 0x")[0][:30]
)
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(BadValue, match="is not a size"):
        q.size(value)


@pytest.mark.parametrize("value", [5, clixml.UInt64(5), 5.0, Decimal(5), "5", Obj(value=5)])
def test_a_plain_number_is_bytes(value: object) -> None:
    assert q.size(value) == Size(5)


def test_only_a_missing_size_is_none() -> None:
    assert q.optional_size(None) is None
    assert q.optional_size(" ") is None
    assert q.optional_size("0 B (0 bytes)") == Size(0)
    with pytest.raises(BadValue):
        q.optional_size("Unlimited")


@given(st.integers(0, 2**64 - 1), GROUPS, st.sampled_from(["bytes", "Bytes", "octets", "байт"]))
def test_group_separators_and_words_do_not_matter(number: int, group: str, word: str) -> None:
    grouped = f"{number:,}".replace(",", group)
    assert q.size(f"1,23 XY ({grouped} {word})") == Size(number)


@given(st.integers(0, 9999), st.sampled_from("KMGT"), st.sampled_from(".,"))
def test_one_separator_in_the_short_part_is_the_decimal_point(
    thousandths: int, unit: str, point: str
) -> None:
    factor = 1024 ** ("KMGT".index(unit) + 1)
    text = f"{thousandths // 1000}{point}{thousandths % 1000:03} {unit}B"
    read = q.size(text)
    assert read.approximate
    assert abs(read.bytes - thousandths * factor / 1000) <= 1


@pytest.mark.parametrize(
    "value",
    [
        "Unlimited", "unlimited", " UNLIMITED ", unlimited("Unlimited", IsUnlimited=True),
        unlimited("", IsUnlimited="true"), unlimited("Unlimited"),
    ],
)  # fmt: skip
def test_unlimited_is_a_value_of_its_own(value: object) -> None:
    assert q.quota(value) is UNLIMITED


@pytest.mark.parametrize("value", [None, "", "  ", Obj()])
def test_a_missing_quota_is_unknown_and_not_unlimited(value: object) -> None:
    assert q.quota(value) is UNKNOWN


def test_a_quota_of_zero_is_zero() -> None:
    assert q.quota("0 B (0 bytes)") == 0
    assert q.quota(0) == 0


@given(KB_QUOTAS)
def test_a_finite_quota_is_its_bytes_in_every_shape(bytes_: int) -> None:
    text = f"1 GB ({bytes_:,} bytes)"
    assert q.quota(text) == bytes_
    assert q.quota(unlimited(text, IsUnlimited=False, Value=text)) == bytes_
    assert q.quota(unlimited("", IsUnlimited=False, Value=text)) == bytes_
    assert q.quota(unlimited(text, IsUnlimited=False)) == bytes_


def test_a_quota_is_not_rounded_here() -> None:
    assert q.quota("1.001 KB (1,025 bytes)") == 1025


@pytest.mark.parametrize("value", ["-1", "much", "Unbegrenzt oder so", -1, b"1"])
def test_what_is_no_quota_is_refused(value: object) -> None:
    with pytest.raises(BadValue):
        q.quota(value)


# Versions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "build"),
    [
        ("Version 15.2 (Build 986.5)", (15, 2, 986, 5)),
        ("Version 15.1 (Build 2507.6)", (15, 1, 2507, 6)),
        ("15.2.986.5", (15, 2, 986, 5)),
        ("15.02.0986.005", (15, 2, 986, 5)),
        ("15.2.2562", (15, 2, 2562, 0)),
        ("Version 15.0 (Build 30847.32)", (15, 0, 847, 32)),
        (clixml.Version("15.2.986.5"), (15, 2, 986, 5)),
        ((15, 2, 986, 5), (15, 2, 986, 5)),
        (Obj(adapted={"Major": 15, "Minor": 2, "Build": 986, "Revision": 5}), (15, 2, 986, 5)),
        (Obj(text="Version 15.2 (Build 986.5)"), (15, 2, 986, 5)),
    ],
)
def test_a_build_is_four_numbers(value: object, build: object) -> None:
    assert q.build(value) == build


@pytest.mark.parametrize("value", [None, "", " ", Obj()])
def test_no_version_is_no_build(value: object) -> None:
    assert q.build(value) == NO_BUILD


@pytest.mark.parametrize("value", ["15.2", "Version 15.2", "15", "x", "15.2.", "a.b.c.d", (15, 2)])
def test_a_version_without_its_build_is_refused(value: object) -> None:
    with pytest.raises(BadValue, match="is not a version"):
        q.build(value)


# Time spans and dates -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("14.00:00:00", timedelta(days=14)),
        ("00:00:05", timedelta(seconds=5)),
        ("-1.02:03:04.5", -timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("00:00:00.1234567", timedelta(microseconds=123456)),
        ("10675199.02:48:05.4775807", timedelta(10675199, 10085, 477580)),
    ],
)
def test_a_time_span_is_days_hours_minutes_and_seconds(text: str, span: timedelta) -> None:
    assert q.duration(text) == span
    assert q.duration(Obj(text=text)) == span
    assert q.duration(Obj(value=span)) == span
    assert q.duration(span) == span


@pytest.mark.parametrize("value", [None, "", "24:00:00", "1:60:00", "00:00", "5", "Unlimited", 5])
def test_what_is_no_time_span_is_refused(value: object) -> None:
    with pytest.raises(BadValue, match="is not a time span"):
        q.duration(value)


@given(st.timedeltas())
def test_a_time_span_is_read_back(span: timedelta) -> None:
    seconds, micros = divmod(abs(span) // timedelta(microseconds=1), 10**6)
    days, rest = divmod(seconds, 86400)
    text = f"{days}.{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{micros:06}0"
    if days < 10**8:
        assert q.duration(f"-{text}") == -abs(span)


SIX = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "culture"),
    [
        (SIX, ""),
        (SIX.astimezone(timezone(timedelta(hours=1))), ""),
        (SIX.replace(tzinfo=None), ""),
        (Obj(value=SIX), ""),
        ("2026-11-21 18:00:00Z", "de-DE"),
        ("2026-11-21T18:00:00", ""),
        ("2026-11-21T19:00:00.0000000+01:00", ""),
        ("2026-11-21T18:00:00Z", "en-US"),
        ("11/21/2026 6:00:00 PM", "en-US"),
        ("11/21/2026 6:00:00\u202fPM", "en-US"),
        ("11/21/2026 6:00:00 PM", ""),
        ("21.11.2026 18:00:00", "de-DE"),
        ("21.11.2026 18:00:00", ""),
        ("21.11.2026 18:00", "de-AT"),
        ("21/11/2026 18:00:00", "fr-FR"),
        ("21/11/2026 18:00:00", "en-GB"),
        ("21/11/2026 18:00:00", ""),
        ("21-11-2026 18:00:00", "nl-NL"),
        ("21.11.2026 18.00.00", "fi-FI"),
        ("2026. 11. 21. 18:00:00", "hu-HU"),
        ("2026/11/21 18:00:00", "ja-JP"),
    ],
)
def test_one_moment_in_every_shape(value: object, culture: str) -> None:
    read = q.moment(value, culture)
    assert read == SIX
    assert read is not None and read.tzinfo is UTC


def test_the_culture_decides_which_number_is_the_day() -> None:
    text = "02/03/2026 07:00:00"
    assert q.moment(text, "en-US") == datetime(2026, 2, 3, 7, tzinfo=UTC)
    assert q.moment(text, "fr-FR") == datetime(2026, 3, 2, 7, tzinfo=UTC)
    assert q.moment(text) is None
    assert q.moment(text, "tlh-KX") is None


def test_a_date_that_reads_the_same_both_ways_needs_no_culture() -> None:
    assert q.moment("05/05/2026") == datetime(2026, 5, 5, tzinfo=UTC)


def test_a_time_without_an_offset_is_in_the_zone_that_is_given() -> None:
    zone = timezone(timedelta(hours=1))
    assert q.moment("21.11.2026 19:00:00", "de-DE", zone) == SIX
    assert q.moment("2026-11-21T18:00:00Z", "de-DE", zone) == SIX


@pytest.mark.parametrize("clock", [("12:00:00 AM", 0), ("12:00:00 PM", 12), ("1:00:00 am", 1)])
def test_twelve_o_clock_is_midnight_or_noon(clock: tuple[str, int]) -> None:
    assert q.moment(f"11/21/2026 {clock[0]}", "en-US") == SIX.replace(hour=clock[1])


@pytest.mark.parametrize(
    "value",
    [
        None, "", Obj(), "1/1/0001 12:00:00 AM", "01.01.0001 00:00:00", "1601-01-01T00:00:00Z",
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), "9999-12-31T23:59:59.9999999",
    ],
)  # fmt: skip
def test_no_date_is_none(value: object) -> None:
    assert q.moment(value) is None


@pytest.mark.parametrize(
    ("value", "culture"),
    [
        ("21/11/2026 18:00:00", "en-US"), ("11/21/2026", "de-DE"), ("31.02.2026", ""),
        ("13/13/2026", ""), ("2026-13-01", ""), ("2026-11-21T18:00:00+99:00", ""),
        ("11/21/2026 13:00:00 PM", "en-US"), ("tomorrow", ""), ("1" * 500, ""), (5, ""), (b"", ""),
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused(value: object, culture: str) -> None:
    with pytest.raises(BadValue, match="is not a date"):
        q.moment(value, culture)


@given(
    st.datetimes(timezones=st.just(UTC))
    .filter(lambda when: 1602 <= when.year < 9999)
    .map(lambda when: when.replace(microsecond=0))
)
def test_a_date_is_read_back_in_the_culture_that_wrote_it(
    right: datetime,
) -> None:
    when = right.replace(tzinfo=None)
    twelve = f"{when.hour % 12 or 12}:{when:%M:%S} {'AM' if when.hour < 12 else 'PM'}"
    assert q.moment(f"{when.month}/{when.day}/{when.year} {twelve}", "en-US") == right
    assert q.moment(f"{when:%d.%m.}{when.year} {when:%H:%M:%S}", "de-DE") == right
    assert q.moment(f"{when:%d/%m/}{when.year} {when:%H:%M:%S}", "fr-FR") == right
    assert q.moment(when.isoformat()) == right
    assert q.moment(f"{when:%d/%m/}{when.year} {when:%H:%M:%S}") in (None, right)


# Names, enums, flags --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("DB01", "DB01"),
        ("Solo.com/Configuration/Sites/Default-First-Site-Name", "Default-First-Site-Name"),
        ("town.example/Staff/Meier\\/Huber", "Meier/Huber"),
        ("town.example/Staff/Meier, Anna", "Meier, Anna"),
        ("CN=DB01,CN=Databases,DC=town,DC=example", "DB01"),
        ("CN=Meier\\, Anna,OU=Staff,DC=town,DC=example", "Meier, Anna"),
        ("EX1\\owa (Default Web Site)", "EX1\\owa (Default Web Site)"),
        (Obj(text="town.example/Sites/North", adapted={"Name": "North"}), "North"),
        (Obj(text="town.example/Sites/North"), "North"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (None, ""),
        ("", ""),
        (Obj(), ""),
    ],
)
def test_the_short_name_of_an_object(value: object, name: str) -> None:
    assert q.name_of(value) == name


def test_the_whole_text_of_an_object() -> None:
    path = "town.example/Staff/Meier\\/Huber"
    assert q.canonical(path) == q.canonical(Obj(text=path)) == path
    assert q.canonical(None) == ""


def test_an_enum_is_its_name_and_a_bare_number_asks_the_table() -> None:
    table = {4: "SharedMailbox"}
    whole = Obj(("Some.Type", "System.Enum"), "UserMailbox", value=clixml.Int64(1))
    assert q.enum_name(whole, table) == "UserMailbox"
    assert q.enum_name("UserMailbox", table) == "UserMailbox"
    assert q.enum_name("Tls, Integrated") == "Tls, Integrated"
    for number in (4, "4", Obj(value=4)):
        assert q.enum_name(number, table) == "SharedMailbox"
        assert q.enum_name(number) == "4"
    assert q.enum_name(99, table) == "99"
    assert q.enum_name(None, table) == ""


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        (True, True), (False, False), ("True", True), ("false", False), (None, None), ("", None),
        (Obj(text="False", adapted={"IsPresent": False}), False), (Obj(value=True), True),
        (Obj(("System.Management.Automation.SwitchParameter",), None, {"IsPresent": True}), True),
    ],
)  # fmt: skip
def test_a_flag_is_true_false_or_missing(value: object, truth: bool | None) -> None:
    assert q.flag(value) is truth


@pytest.mark.parametrize("value", ["yes", "Wahr", "1", 1, 0, b""])
def test_what_is_no_flag_is_refused(value: object) -> None:
    with pytest.raises(BadValue, match="is not True or False"):
        q.flag(value)


# Lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (None, ()),
        ("", ()),
        ("{}", ()),
        ("one", ("one",)),
        ("{one, two}", ("one", "two")),
        ("one, two", ("one", "two")),
        ("one,two", ("one", "two")),
        ("one;two", ("one", "two")),
        ("one\r\ntwo\r\n", ("one", "two")),
        ("{[EX1, 1], [EX2, 2]}", ("[EX1, 1]", "[EX2, 2]")),
        ("t.example/A/Meier, Anna, t.example/A/Huber", ("t.example/A/Meier, Anna", "t.example/A/Huber")),
        ("CN=Meier\\, Anna,OU=A,DC=t, CN=B,DC=t", ("CN=Meier\\, Anna,OU=A,DC=t", "CN=B,DC=t")),
        (["one", None, Obj(text="two")], ("one", "two")),
        (("one",), ("one",)),
        (Obj(value=["one, and a half", 2]), ("one, and a half", "2")),
        (Obj(value=[]), ()),
        (Obj(("Flags", "System.Enum"), "Tls, Integrated", value=3), ("Tls", "Integrated")),
    ],
)  # fmt: skip
def test_the_values_of_a_multi_valued_property(value: object, parts: tuple[str, ...]) -> None:
    assert q.texts(value) == parts


@pytest.mark.parametrize(
    "text",
    [
        "System.String[]",
        "Microsoft.Exchange.Data.MultiValuedProperty`1[System.String]",
        "Microsoft.Exchange.Data.ProxyAddressCollection",
        "System.Collections.ArrayList",
        "Deserialized.System.Object[]",
        "{one, two, three...}",
    ],
)
def test_a_list_that_the_export_lost_is_not_an_empty_list(text: str) -> None:
    with pytest.raises(LostList, match="lost its values"):
        q.texts(text)


@given(st.lists(st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9 _-]*[A-Za-z0-9]", fullmatch=True)))
def test_flattened_values_come_out_again(values: list[str]) -> None:
    assert q.texts("{" + ", ".join(values) + "}") == tuple(values)
    assert q.texts(Obj(value=list(values))) == tuple(values)


# Real objects and nonsense --------------------------------------------------------------------


def test_values_of_real_exports_come_out_with_their_types(data_folder: Path) -> None:
    def first(name: str) -> Obj:
        found = next(iter(clixml.read(data_folder / "clixml" / f"{name}.xml")))
        assert isinstance(found, Obj)
        return found

    server, mailbox_server = first("GetExchangeServer"), first("GetMailboxServer")
    assert q.build(server["AdminDisplayVersion"]) == (15, 2, 986, 5)
    assert version_name(q.build(server["AdminDisplayVersion"])) == "2019"
    assert q.name_of(server["Site"]) == "Default-First-Site-Name"
    assert q.canonical(server["Site"]) == "Solo.com/Configuration/Sites/Default-First-Site-Name"
    assert q.enum_name(server["Edition"]) == "StandardEvaluation"
    assert q.flag(server["IsEdgeServer"]) is False
    assert q.quota(mailbox_server["LogDirectorySizeLimitForManagedFolders"]) is UNLIMITED
    assert q.quota(mailbox_server["CalendarRepairLogDirectorySizeLimit"]) == 524_288_000
    assert q.duration(mailbox_server["CalendarRepairLogFileAgeLimit"]) == timedelta(days=10)
    assert q.moment(server["WhenChanged"]) == q.moment(server["WhenChangedUTC"])
    connector = first("GetReceiveConnector")
    assert q.size(connector["MaxMessageSize"]) == Size(37_748_736)
    assert q.texts(connector["Bindings"]) == ("0.0.0.0:2525", "[::]:2525")
    directory = first("GetWebServicesVirtualDirectory")
    assert q.name_of(directory["Server"]) == "SOLO-E19A"
    assert "Ntlm" in q.texts(directory["InternalAuthenticationMethods"])
    assert q.name_of(first("GetOrganizationConfig")["RootPublicFolderMailbox"]) == ""


OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23))
NONSENSE = st.one_of(
    st.text(),
    st.text("0123456789.,:/-+()[]{}GMKTBTZAPM '\u202fVersionBuild"),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.binary(),
    st.none(),
    st.booleans(),
    st.datetimes(timezones=st.none() | st.just(UTC) | st.builds(timezone, OFFSETS)),
    st.timedeltas(),
    st.uuids(),
    st.lists(st.text()),
    st.tuples(st.integers(), st.integers(), st.integers(), st.integers()),
    st.dictionaries(st.text(), st.text()),
    st.just(clixml.SecureString()),
)
PROPERTIES = st.sampled_from(
    ["IsUnlimited", "Value", "Name", "Major", "Minor", "Build", "Revision", "IsPresent"]
)
OBJECTS = st.builds(
    Obj,
    text=st.none() | st.text(),
    adapted=st.dictionaries(PROPERTIES, NONSENSE),
    value=NONSENSE,
)


@given(NONSENSE | OBJECTS)
def test_nonsense_ends_in_one_kind_of_error(value: object) -> None:
    for function in FUNCTIONS:
        try:
            function(value)
        except BadValue as error:
            assert isinstance(error, ValueError)
            assert len(str(error)) < 200


@given(st.text("0123456789./-: APM"), st.sampled_from(["", "en-US", "de-DE", "fr-FR", "xx"]))
def test_no_text_breaks_the_reading_of_dates(text: str, culture: str) -> None:
    try:
        read = q.moment(text, culture)
    except BadValue:
        return
    assert read is None or read.tzinfo is UTC


def test_a_long_bad_value_is_shown_shortened() -> None:
    with pytest.raises(BadValue) as caught:
        q.size("x" * 1000)
    assert str(caught.value) == f'"{"x" * 60}..." is not a size'
    assert caught.value.wanted == "a size"

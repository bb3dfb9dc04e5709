"""Real exports of a real server: each file of the data folder is read to its end.

What is expected of each was read off the files themselves and off the domain notes; that
nothing is lost is checked against a plain XML parse, and the writer against the very bytes.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree

import pytest

from mailmig.wire import clixml

EXCHANGE = "Microsoft.Exchange.Data.Directory"
NEVER = datetime(1, 1, 1)  # noqa: DTZ001 - .NET writes it without a zone
# name: number of top-level objects, a type of the first, its text, number of its properties
FILES = {
    "GetAcceptedDomain": (3, f"{EXCHANGE}.SystemConfiguration.AcceptedDomain", "Solo.com", 42),
    "GetDynamicDistributionGroupPfMailboxes": (
        1, f"{EXCHANGE}.Management.DynamicDistributionGroup",
        "PublicFolderMailboxes.419323dd2b7d4d04a724dcc15e467521", 105,
    ),
    "GetExchangeCertificate": (
        3, "System.Security.Cryptography.X509Certificates.X509Certificate2", None, 4,
    ),
    "GetExchangeDiagnosticInfo_EdgeTransportResourceThrottling": (
        1, "Microsoft.Exchange.Data.ConfigurableObject", None, 7,
    ),
    "GetExchangeServer": (1, f"{EXCHANGE}.Management.ExchangeServer", "SOLO-E19A", 61),
    "GetMailboxServer": (1, f"{EXCHANGE}.Management.MailboxServer", "SOLO-E19A", 74),
    "GetOrganizationConfig": (1, f"{EXCHANGE}.Management.OrganizationConfig", "SoloORG", 172),
    "GetOwaVirtualDirectory": (
        1, f"{EXCHANGE}.SystemConfiguration.ADOwaVirtualDirectory",
        "SOLO-E19A\\owa (Default Web Site)", 157,
    ),
    "GetReceiveConnector": (
        5, f"{EXCHANGE}.SystemConfiguration.ReceiveConnector",
        "WIN-CTD3L0RGEN4\\Default WIN-CTD3L0RGEN4", 76,
    ),
    "GetSendConnector": (
        1, f"{EXCHANGE}.SystemConfiguration.SmtpSendConnectorConfig", "Mail to O365", 57,
    ),
    "GetServerComponentState": (
        34, f"{EXCHANGE}.Management.ServerComponentStatePresentationObject",
        f"{EXCHANGE}.Management.ServerComponentStatePresentationObject", 12,
    ),
    "GetWebServicesVirtualDirectory": (
        1, f"{EXCHANGE}.SystemConfiguration.ADWebServicesVirtualDirectory",
        "SOLO-E19A\\EWS (Default Web Site)", 43,
    ),
    "TestServiceHealth": (
        3, "Microsoft.Exchange.Monitoring.ExchangeServicesStatus",
        "Microsoft.Exchange.Monitoring.ExchangeServicesStatus", 10,
    ),
    "Win32_OperatingSystem": (
        1, "System.Management.ManagementObject", r"\\SOLO-E19A\root\cimv2:Win32_OperatingSystem=@", 75,
    ),
}  # fmt: skip


@pytest.fixture
def exports(data_folder: Path) -> Path:
    return data_folder / "clixml"


def objects(folder: Path, name: str) -> list[clixml.Obj]:
    values = list(clixml.read(folder / f"{name}.xml"))
    found = [value for value in values if isinstance(value, clixml.Obj)]
    assert len(found) == len(values)
    return found


def part(obj: clixml.Obj, *names: str) -> clixml.Obj:
    for name in names:
        inner = obj[name]
        assert isinstance(inner, clixml.Obj)
        obj = inner
    return obj


def test_no_file_of_the_folder_is_unknown_here(exports: Path) -> None:
    assert {path.stem for path in exports.iterdir() if path.suffix} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_is_read_to_its_end(exports: Path, name: str) -> None:
    count, kind, text, properties = FILES[name]
    found = objects(exports, name)
    assert len(found) == count
    assert all(obj.is_a(kind) and obj.is_a("System.Object") for obj in found)
    assert text is None or found[0].text == text
    assert len(found[0].properties) == properties
    assert found[0]["PSComputerName"] if name != "Win32_OperatingSystem" else True


@pytest.mark.parametrize("name", FILES)
def test_every_property_of_a_real_file_comes_out(exports: Path, name: str) -> None:
    read = Counter[str]()
    seen: set[int] = set()

    def walk(value: object) -> None:
        if isinstance(value, clixml.Obj) and id(value) not in seen:
            seen.add(id(value))
            for members in (value.adapted, value.extended):
                read.update(members.keys())
                for inner in members.values():
                    walk(inner)
            for inner in value.value if isinstance(value.value, list) else ():
                walk(inner)

    found = objects(exports, name)
    for obj in found:
        walk(obj)
    assert read == Counter(written(exports / f"{name}.xml"))


def written(file: Path) -> Iterator[str]:
    """The names of all property nodes, by a plain XML parse."""
    for element in ElementTree.parse(file).iter():
        if element.tag.endswith(("}Props", "}MS")):
            yield from (n for node in element if (n := node.attrib["N"]) != "SerializationData")


@pytest.mark.parametrize("name", FILES)
def test_the_writer_gives_the_bytes_that_export_clixml_gave(exports: Path, name: str) -> None:
    """Apart from what is lost on purpose: blobs, the 7th digit of a second, sharing of objects."""
    original = (exports / f"{name}.xml").read_bytes()
    found = objects(exports, name)
    again = io.BytesIO()
    clixml.write(again, found)
    assert list(clixml.read(io.BytesIO(again.getvalue()))) == found
    if b"<Ref " in original and len(found) > 1:
        return  # a later object refers to an earlier one: here it is written again
    text = original.decode("utf-8-sig").replace("\r\n", "\n")
    text = re.sub(r' *<BA N="SerializationData">[^<]*</BA>\n', "", text)
    text = re.sub(r" *<MS>\n *</MS>\n", "", text)
    text = re.sub(r"(\.\d{6})\dZ</DT>", r"\1Z</DT>", text)
    assert again.getvalue() == b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


def test_sizes_come_out_as_their_text_with_and_without_a_limit(exports: Path) -> None:
    [server] = objects(exports, "GetMailboxServer")
    limited = part(server, "CalendarRepairLogDirectorySizeLimit")
    assert limited.types[0].startswith("Microsoft.Exchange.Data.Unlimited`1[[")
    assert limited.text == "500 MB (524,288,000 bytes)"
    assert limited.adapted == {"IsUnlimited": False, "Value": "500 MB (524,288,000 bytes)"}
    unlimited = part(server, "LogDirectorySizeLimitForManagedFolders")
    assert (unlimited.text, unlimited.adapted) == ("Unlimited", {"IsUnlimited": True})
    plain = part(server, "MigrationLogMaxDirectorySize")
    assert plain.is_a("Microsoft.Exchange.Data.ByteQuantifiedSize")
    assert (plain.text, plain.adapted) == ("5 GB (5,368,709,120 bytes)", {})
    [organisation] = objects(exports, "GetOrganizationConfig")
    assert part(organisation, "DefaultPublicFolderIssueWarningQuota").adapted == {
        "IsUnlimited": True
    }


def test_a_version_comes_out_in_numbers(exports: Path) -> None:
    for name in ("GetExchangeServer", "GetMailboxServer", "GetWebServicesVirtualDirectory"):
        version = part(objects(exports, name)[0], "AdminDisplayVersion")
        assert version.is_a("Microsoft.Exchange.Data.ServerVersion")
        assert version.text == "Version 15.2 (Build 986.5)"
        numbers = {"Major": 15, "Minor": 2, "Build": 986, "Revision": 5}
        assert version.adapted == numbers | {"FilePatchLevelDescription": None}


def test_enums_come_out_as_name_and_number(exports: Path) -> None:
    [server] = objects(exports, "GetMailboxServer")
    assert part(server, "DatabaseCopyAutoActivationPolicy").enum == ("Unrestricted", 0)
    assert part(server, "AutoDatabaseMountDial").enum == ("GoodAvailability", 6)
    [group] = objects(exports, "GetDynamicDistributionGroupPfMailboxes")
    details = part(group, "RecipientTypeDetails")
    assert details.enum == ("DynamicDistributionGroup", 2048)
    assert type(details.value) is clixml.Int64
    [ews] = objects(exports, "GetWebServicesVirtualDirectory")
    methods = clixml.items(ews["InternalAuthenticationMethods"])
    assert [m.enum for m in methods if isinstance(m, clixml.Obj)] == [
        ("Ntlm", 2), ("WindowsIntegrated", 4), ("WSSecurity", 7), ("OAuth", 10),
    ]  # fmt: skip


def test_an_adobjectid_comes_out_with_its_parts(exports: Path) -> None:
    identity = part(objects(exports, "GetMailboxServer")[0], "Identity")
    assert identity.is_a(f"{EXCHANGE}.ADObjectId")
    assert identity.text == identity["Name"] == "SOLO-E19A"
    assert str(identity["DistinguishedName"]).startswith("CN=SOLO-E19A,CN=Servers,")
    assert identity["ObjectGuid"] == UUID("3c5ebdaf-1885-4f22-8f60-0e8c1667abed")
    assert (identity["Depth"], identity["IsDeleted"]) == (9, False)
    assert objects(exports, "GetMailboxServer")[0]["DatabaseAvailabilityGroup"] is None


def test_times_come_out_aware_and_the_pair_is_one_moment(exports: Path) -> None:
    [server] = objects(exports, "GetMailboxServer")
    local, utc = server["WhenChanged"], server["WhenChangedUTC"]
    assert isinstance(local, datetime) and isinstance(utc, datetime)
    assert local == utc == datetime(2021, 9, 28, 17, 32, 1, tzinfo=UTC)
    assert local.utcoffset() == timedelta(hours=-7)
    [organisation] = objects(exports, "GetOrganizationConfig")
    assert organisation["ForestConfigLastRunTime"] == NEVER


def test_component_states_come_out_one_object_each(exports: Path) -> None:
    components = objects(exports, "GetServerComponentState")
    states = {obj["Component"]: part(obj, "State").enum for obj in components}
    assert len(states) == 34
    assert {name for name, state in states.items() if state == ("Inactive", 0)} == {
        "ForwardSyncDaemon", "ProvisioningRps",
    }  # fmt: skip
    [asked] = clixml.items(components[0]["LocalStates"])
    assert isinstance(asked, clixml.Obj)
    moment = datetime(2021, 9, 28, 17, 32, 1, 927194, UTC)
    assert asked.adapted == {
        "Requester": "Functional", "State": "Active", "Timestamp": moment,
        "Component": "ServerWideOffline",
    }  # fmt: skip


def test_services_come_out_as_lists(exports: Path) -> None:
    roles = objects(exports, "TestServiceHealth")
    running = {role["Role"]: clixml.items(role["ServicesRunning"]) for role in roles}
    assert {role: len(names) for role, names in running.items()} == {
        "Mailbox Server Role": 13, "Client Access Server Role": 7, "Hub Transport Server Role": 8,
    }  # fmt: skip
    assert "MSExchangeIS" in running["Mailbox Server Role"]
    assert all(clixml.items(role["ServicesNotRunning"]) == [] for role in roles)
    assert all(role["RequiredServicesRunning"] is True for role in roles)


def test_addresses_bytes_and_texts_come_out(exports: Path) -> None:
    [ews] = objects(exports, "GetWebServicesVirtualDirectory")
    assert type(ews["InternalUrl"]) is clixml.Uri
    assert ews["InternalUrl"] == "https://solo-e19a.solo.com/EWS/Exchange.asmx"
    assert ews["ExternalUrl"] is None
    [owa] = objects(exports, "GetOwaVirtualDirectory")
    assert owa["InternalUrl"] == "https://solo-e19a.solo.com/owa"
    certificates = [obj["RawData"] for obj in objects(exports, "GetExchangeCertificate")]
    assert all(isinstance(raw, bytes) and raw[0] == 0x30 for raw in certificates)  # DER
    [info] = objects(exports, "GetExchangeDiagnosticInfo_EdgeTransportResourceThrottling")
    result = info["Result"]
    assert isinstance(result, str)
    assert result.startswith("<Diagnostics>\r\n  <ProcessInfo>\r\n")
    assert ElementTree.fromstring(result).tag == "Diagnostics"


def test_connectors_and_domains_share_one_organisation(exports: Path) -> None:
    for name in ("GetReceiveConnector", "GetAcceptedDomain"):
        found = objects(exports, name)
        assert len({id(obj["OrganizationId"]) for obj in found}) == 1
        assert all(obj["Id"] is obj["Identity"] for obj in found)
    names = [str(obj["Name"]) for obj in objects(exports, "GetReceiveConnector")]
    assert "Client Frontend WIN-CTD3L0RGEN4" in names
    timeout = part(objects(exports, "GetReceiveConnector")[0], "ConnectionTimeout")
    assert (timeout.text, timeout["TotalMinutes"]) == ("00:10:00", 10.0)
    [outbound] = objects(exports, "GetSendConnector")
    [space] = clixml.items(outbound["AddressSpaces"])
    assert isinstance(space, clixml.Obj) and (space["Type"], space["Cost"]) == ("SMTP", 1)


def test_integers_of_every_width_come_out_of_wmi(exports: Path) -> None:
    [system] = objects(exports, "Win32_OperatingSystem")
    wide = [system[n] for n in ("ProductType", "OSType", "CurrentTimeZone", "FreePhysicalMemory")]
    assert wide == [3, 18, -420, 177828]
    assert [type(n) for n in wide] == [
        clixml.UInt32, clixml.UInt16, clixml.Int16, clixml.UInt64,
    ]  # fmt: skip
    assert system["MaxNumberOfProcesses"] == 4294967295
    assert clixml.items(system["MUILanguages"]) == ["en-US"]

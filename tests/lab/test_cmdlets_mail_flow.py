"""Cmdlets of mail flow beside real ones: settings, diagnosis, certificates, Exchange's own tests."""

import hashlib
import xml.etree.ElementTree as ET
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from mailmig.lab import services, setting_values, shapes
from mailmig.lab.cmdlets.diagnostics import QUEUE_DISK
from mailmig.lab.cmdlets.settings import SETS, size
from mailmig.lab.cmdlets.simulated import View
from mailmig.lab.cultures import ENGLISH, GERMAN, Culture
from mailmig.lab.exchange.calls import Call, Item
from mailmig.lab.faults.switchboard import Switchboard
from mailmig.model.quota import MIB
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from tests.lab.asking import Shell, said, text, town

M, P, OLD = "LS-EX1", "LS-EX2", "LS-EX16"
PRESSURE = {"Process": "EdgeTransport", "Component": "ResourceThrottling"}
WAYS_OUT = "Internet über Gateway"


@pytest.fixture(name="shell")
def _shell() -> Shell:
    return Shell(town(20), M)


def meters(shell: Shell, server: str = M) -> dict[str, str]:
    (one,) = shell.objects("Get-ExchangeDiagnosticInfo", Server=server, **PRESSURE)
    root = ET.fromstring(str(one["Result"]))
    found = root.findall("Components/ResourceThrottling/ResourceTracker/ResourceMeter")
    return {meter.get("Resource", ""): meter.findtext("CurrentResourceUse", "") for meter in found}


def test_diagnostics_look_like_the_real_ones(shell: Shell, data_folder: Path) -> None:
    file = "GetExchangeDiagnosticInfo_EdgeTransportResourceThrottling.xml"
    (real,) = clixml.read(data_folder / "clixml" / file)
    (ours,) = shell.objects("Get-ExchangeDiagnosticInfo", **PRESSURE)
    assert isinstance(real, Obj)
    assert ours.types == real.types and list(ours.adapted) == list(real.adapted)
    one, other = (ET.fromstring(str(obj["Result"])) for obj in (real, ours))
    tracker = "Components/ResourceThrottling/ResourceTracker"
    inner = [
        [(e.tag, e.get("Resource"), [c.tag for c in e]) for e in root.find(tracker) or ()]
        for root in (one, other)
    ]
    assert inner[0] == inner[1]
    mediator = "Components/ResourceThrottling/ResourceLevelMediator"
    names = [[e.get("Name") for e in root.find(mediator) or ()] for root in (one, other)]
    assert names[0] == names[1]
    assert [e.tag for e in one.find("ProcessInfo") or ()] == [
        e.tag for e in other.find("ProcessInfo") or ()
    ]
    limits = [
        [e.text for e in root.iter("PressureTransitions")] for root in (one, other)
    ]  # fmt: skip
    assert limits[0] == limits[1]


def test_back_pressure_shows_in_the_meter_of_its_resource_only(shell: Shell) -> None:
    healthy = meters(shell)
    assert {name for name, use in healthy.items() if use != "Low"} == {"SystemMemory"}
    shell.world.transport.posts[M].pressure[QUEUE_DISK] = "High"
    pressed = meters(shell)
    assert {name for name in pressed if pressed[name] != healthy[name]} == {QUEUE_DISK}
    assert meters(shell, P) == healthy


def test_other_diagnostics_fail_and_are_never_empty(shell: Shell) -> None:
    error = shell.error("Get-ExchangeDiagnosticInfo", Process="EdgeTransport", Component="Cache")
    assert "does not simulate" in error.message
    services.stop(shell.world, M, services.TRANSPORT)
    assert "EdgeTransport" in shell.error("Get-ExchangeDiagnosticInfo", **PRESSURE).message


def test_certificates_hold_der_like_the_real_ones(shell: Shell, data_folder: Path) -> None:
    real = next(clixml.read(data_folder / "clixml" / "GetExchangeCertificate.xml"))
    assert isinstance(real, Obj)
    found = shell.objects("Get-ExchangeCertificate")
    assert (found[0].types, list(found[0].adapted), list(found[0].extended)) == (
        real.types, list(real.adapted), list(real.extended)
    )  # fmt: skip
    subjects = []
    for one in found:
        der = one["RawData"]
        assert isinstance(der, bytes)
        parsed = x509.load_der_x509_certificate(der)
        subjects.append(parsed.subject.rfc4514_string())
        thumbprint = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
        assert f"[Thumbprint]\r\n  {thumbprint}\r\n" in str(one.text)
    assert subjects == [
        "CN=LS-EX1", "CN=Microsoft Exchange Server Auth Certificate", "CN=WMSvc-SHA2-LS-EX1",
    ]  # fmt: skip


def test_certificates_are_found_by_thumbprint_server_and_name(shell: Shell) -> None:
    (auth,) = shell.objects("Get-AuthConfig")
    thumbprint = text(auth, "CurrentCertificateThumbprint")
    for server in (M, P, OLD):
        (one,) = shell.objects("Get-ExchangeCertificate", Server=server, Thumbprint=thumbprint)
        (same,) = shell.objects("Get-ExchangeCertificate", Identity=f"{server}\\{thumbprint}")
        assert one["RawData"] == same["RawData"]
    fqdn = shell.world.organisation.server(P).fqdn
    assert len(shell.objects("Get-ExchangeCertificate", Server=P, DomainName=[fqdn])) == 1
    assert "not found" in shell.error("Get-ExchangeCertificate", Thumbprint="AB" * 20).message


def test_mail_flows_from_everywhere_to_everywhere(shell: Shell) -> None:
    for source in (M, P, OLD):
        for target in (M, P, OLD):
            (one,) = shell.objects("Test-Mailflow", Identity=source, TargetMailboxServer=target)
            assert one["TestMailflowResult"] == "Success"
            assert one["IsRemoteTest"] is (source != target)


@pytest.mark.parametrize("service", [services.DELIVERY, "MSExchangeIS"])
def test_mail_does_not_arrive_where_it_is_not_delivered(shell: Shell, service: str) -> None:
    services.stop(shell.world, OLD, service)
    shell.world.advance(timedelta(minutes=3))
    (one,) = shell.objects("Test-Mailflow", Identity=OLD, TargetDatabase="Buerger")
    assert one["TestMailflowResult"] == "*FAILURE*"
    services.start(shell.world, OLD, service)
    shell.world.advance(timedelta(minutes=10))
    (one,) = shell.objects("Test-Mailflow", Identity=OLD, TargetDatabase="Buerger")
    assert one["TestMailflowResult"] == "Success"


def test_a_german_session_says_it_in_german(shell: Shell) -> None:
    shell.world.conditions(M).culture = GERMAN
    (one,) = shell.objects("Test-Mailflow")
    assert one["TestMailflowResult"] == "Erfolgreich"
    found = shell.objects("Test-MAPIConnectivity", Server=M)
    result = found[0]["Result"]
    assert isinstance(result, Obj) and result.text == "Erfolgreich"
    assert text(result, "Value") == "Success"


def test_every_active_database_of_a_server_is_logged_on_to(shell: Shell) -> None:
    organisation = shell.world.organisation
    own = [one.name for one in organisation.databases.values() if one.server == M]
    found = shell.objects("Test-MAPIConnectivity", Server=M)
    assert [text(one, "Database") for one in found] == own
    organisation.dismount(organisation.databases[own[0]])
    results = {
        text(one, "Database"): text(one, "Result")
        for one in shell.objects("Test-MAPIConnectivity", Server=M)
    }
    assert results == {name: "*FAILURE*" if name == own[0] else "Success" for name in own}
    (one,) = shell.objects("Test-MAPIConnectivity", Database=own[0])
    assert "MdbOffline" in text(one, "Error")
    more = shell.objects("Test-MAPIConnectivity", Server=M, IncludePassive=None)
    assert len(more) > len(own)
    active = {text(one, "Database"): one["IsDatabaseCopyActive"] for one in more}
    assert {name for name, value in active.items() if value} == set(own)
    (copy,) = shell.objects("Test-MAPIConnectivity", Database=own[0], CopyOnServer=P)
    assert (text(copy, "MailboxServer"), text(copy, "Result")) == (P, "Success")


def test_one_mailbox_can_be_logged_on_to(shell: Shell) -> None:
    mailbox = shell.someone()
    (one,) = shell.objects("Test-MAPIConnectivity", Identity=mailbox.alias)
    assert text(one, "Mailbox") == mailbox.display_name
    assert text(one, "Database") == mailbox.database


def test_addresses_are_changed_and_shown_at_once(shell: Shell) -> None:
    url = "https://mail.lindenstadt.example/mapi"
    identity = rf"{M}\mapi (Default Web Site)"
    assert shell.ask("Set-MapiVirtualDirectory", Identity=identity, InternalUrl=url,
                     ExternalUrl=None, IISAuthenticationMethods=["ntlm", "Negotiate"]) == []  # fmt: skip
    (one,) = shell.objects("Get-MapiVirtualDirectory", Server=M)
    assert str(one["InternalUrl"]) == url and one["ExternalUrl"] is None
    methods = one["IISAuthenticationMethods"]
    assert isinstance(methods, Obj)
    assert [str(m.text) for m in clixml.items(methods) if isinstance(m, Obj)] == [
        "Ntlm",
        "Negotiate",
    ]
    (other,) = shell.objects("Get-MapiVirtualDirectory", Server=P)
    assert str(other["InternalUrl"]) != url


def test_the_autodiscover_address_of_a_server_reaches_the_directory(shell: Shell) -> None:
    url = "https://autodiscover.lindenstadt.example/Autodiscover/Autodiscover.xml"
    assert (
        shell.ask("Set-ClientAccessService", Identity=M, AutoDiscoverServiceInternalUri=url) == []
    )
    (one,) = shell.objects("Get-ClientAccessService", Identity=M)
    assert str(one["AutoDiscoverServiceInternalUri"]) == url
    assert shell.world.organisation.autodiscover_urls == {M: url}


@pytest.mark.parametrize(("cmdlet", "given"), [
    ("Set-MapiVirtualDirectory", {"InternalUrl": "no url"}),
    ("Set-MapiVirtualDirectory", {"IISAuthenticationMethods": ["Magic"]}),
    ("Set-TransportConfig", {"MaxSendSize": "much"}),
    ("Set-TransportConfig", {"SafetyNetHoldTime": "long"}),
    ("Set-ReceiveConnector", {"PermissionGroups": "Everybody"}),
    ("Set-ReceiveConnector", {"Bindings": ["here"]}),
    ("Set-ReceiveConnector", {"Bindings": ["here:25"]}),
    ("Set-ReceiveConnector", {"Bindings": ["0.0.0.0:70000"]}),
    ("Set-ReceiveConnector", {"RemoteIPRanges": ["hello"]}),
    ("Set-ReceiveConnector", {"RemoteIPRanges": ["10.0.0.9-10.0.0.1"]}),
    ("Set-ReceiveConnector", {"RemoteIPRanges": ["10.0.0.0/40"]}),
    ("Set-ReceiveConnector", {"TransportRole": "HubTransport, FrontendTransport"}),
    ("Set-TransportConfig", {"MaxSendSize": "infMB"}),
    ("Set-TransportConfig", {"MaxSendSize": "-5MB"}),
    ("Set-TransportConfig", {"SafetyNetHoldTime": "-2.00:00:00"}),
    ("Set-TransportConfig", {"SafetyNetHoldTime": "25:00:00"}),
    ("Set-TransportConfig", {"ShadowMessagePreferenceSetting": "PreferRemote, LocalOnly"}),
])  # fmt: skip
def test_a_value_that_no_object_could_show_is_refused(
    shell: Shell, cmdlet: str, given: dict[str, object]
) -> None:
    identity = {"Set-MapiVirtualDirectory": rf"{M}\mapi (Default Web Site)",
                "Set-ReceiveConnector": rf"{M}\Default Frontend {M}"}  # fmt: skip
    named = {"Identity": identity[cmdlet]} if cmdlet in identity else {}
    assert "Cannot convert" in shell.error(cmdlet, **named, **given).message
    assert shell.world.organisation.settings.changed == {}


def test_an_identity_that_fits_several_objects_changes_none(shell: Shell) -> None:
    error = shell.error(
        "Set-OwaVirtualDirectory", Identity="owa (Default Web Site)", ExternalUrl=None
    )
    assert "matches multiple entries" in error.message
    assert "couldn't be found" in shell.error("Set-OwaVirtualDirectory", Identity="x").message
    assert shell.world.organisation.settings.changed == {}


def test_what_a_set_cmdlet_does_not_simulate_fails(shell: Shell) -> None:
    found = shell.ask("Set-TransportConfig", Rfc2231EncodingEnabled=True)
    assert said(found) == [
        "The lab does not simulate the parameter -Rfc2231EncodingEnabled of Set-TransportConfig."
    ]


def test_transport_settings_are_those_of_the_documentation(shell: Shell) -> None:
    (one,) = shell.objects("Get-TransportConfig")
    assert one["ShadowRedundancyEnabled"] is True
    assert one["RejectMessageOnShadowFailure"] is False
    assert text(one, "SafetyNetHoldTime") == "2.00:00:00"
    assert text(one, "ShadowMessagePreferenceSetting") == "PreferRemote"
    shell.ask("Set-TransportConfig", SafetyNetHoldTime="7.00:00:00", MaxSendSize="20MB",
              ShadowMessagePreferenceSetting="RemoteOnly")  # fmt: skip
    (one,) = shell.objects("Get-TransportConfig")
    assert text(one, "SafetyNetHoldTime") == "7.00:00:00"
    assert text(one, "MaxSendSize") == "20 MB (20,971,520 bytes)"
    assert text(one, "ShadowMessagePreferenceSetting") == "RemoteOnly"
    for cmdlet in ("Get-TransportService", "Get-FrontendTransportService",
                   "Get-MailboxTransportService"):  # fmt: skip
        assert len(shell.objects(cmdlet)) == 3
    (service,) = shell.objects("Get-TransportService", Identity=M)
    assert text(service, "MessageRetryInterval") == "00:15:00"


def test_receive_connectors_are_made_changed_and_removed(shell: Shell) -> None:
    given = {"Server": M, "Bindings": ["0.0.0.0:2527"], "RemoteIPRanges": ["10.9.8.7"]}
    (made,) = shell.objects("New-ReceiveConnector", Name="Drucker", Usage="Custom",
                            PermissionGroups="AnonymousUsers", **given)  # fmt: skip
    assert made.text == rf"{M}\Drucker"
    error = shell.error("New-ReceiveConnector", Name="Drucker", Usage="Custom", **given)
    assert "already exists" in error.message
    shell.ask("Set-ReceiveConnector", Identity=rf"{M}\Drucker", Enabled=False,
              RemoteIPRanges=["10.9.8.7", "10.9.9.0/24"])  # fmt: skip
    (one,) = shell.objects("Get-ReceiveConnector", Identity=rf"{M}\Drucker")
    ranges = one["RemoteIPRanges"]
    assert one["Enabled"] is False and isinstance(ranges, Obj) and len(clixml.items(ranges)) == 2
    for name in ("Drucker", f"Default Frontend {M}"):
        assert shell.ask("Remove-ReceiveConnector", Identity=rf"{M}\{name}", Confirm=False) == []
        error = shell.error("Get-ReceiveConnector", Identity=rf"{M}\{name}")
        assert "couldn't be found" in error.message
    again = shell.objects("New-ReceiveConnector", Name=f"Default Frontend {M}", Usage="Internet",
                          Bindings=["0.0.0.0:25"], RemoteIPRanges=["0.0.0.0-255.255.255.255"],
                          Server=M)  # fmt: skip
    assert len(again) == 1
    assert len(shell.objects("Get-ReceiveConnector", Server=M)) == 5


def test_sites_and_controllers_are_those_of_the_directory(shell: Shell) -> None:
    forest = shell.world.surroundings.forest
    assert [text(o, "Name") for o in shell.objects("Get-ADSite")] == list(forest.sites)
    found = shell.objects("Get-DomainController")
    assert [text(one, "DnsHostName").partition(".")[0] for one in found] == [
        one.name for one in forest.controllers
    ]
    (settings,) = shell.objects("Get-ADServerSettings")
    near = text(settings, "DefaultGlobalCatalog")
    assert shell.ask("Set-ADServerSettings", PreferredServer=near) == []
    assert "couldn't be found" in shell.error("Set-ADServerSettings", PreferredServer="x").message


def test_flags_of_the_organisation_and_its_address_book_are_set(shell: Shell) -> None:
    assert shell.ask("Set-OrganizationConfig", PublicFoldersLockedForMigration=True) == []
    (one,) = shell.objects("Get-OrganizationConfig")
    assert one["PublicFoldersLockedForMigration"] is True and one["MapiHttpEnabled"] is True
    (book,) = shell.objects("Get-OfflineAddressBook")
    assert "bb558c35" in text(book, "GeneratingMailbox")
    identity = "Default Offline Address Book"
    other = "SystemMailbox{e0dc1c29-89c3-4034-b678-e6c29d823ed9}"
    shell.ask("Set-OfflineAddressBook", Identity=identity, GeneratingMailbox=other)
    (book,) = shell.objects("Get-OfflineAddressBook", Identity=identity)
    assert "e0dc1c29" in text(book, "GeneratingMailbox")
    error = shell.error(
        "Set-OfflineAddressBook", Identity=identity, GeneratingMailbox=shell.someone().alias
    )
    assert "couldn't be found" in error.message


SHAPES = {
    "Get-OfflineAddressBook": {},
    "Get-Queue": {"Server": OLD}, "Get-HealthReport": {"Identity": M},
    "Get-ServerHealth": {"Identity": M},
    "Get-MonitoringItemIdentity": {"Identity": "Store", "Server": M},
    "Get-ServerMonitoringOverride": {"Server": M}, "Test-Mailflow": {},
    "Test-MAPIConnectivity": {"Server": M}, "Get-ExchangeCertificate": {}, "Get-AuthConfig": {},
    "Test-OutlookConnectivity": {
        "ProbeIdentity": r"OutlookMapiHttp.Protocol\OutlookMapiHttpSelfTestProbe"
    },
    "Get-ExchangeDiagnosticInfo": PRESSURE, "Get-TransportConfig": {}, "Get-TransportService": {},
    "Get-FrontendTransportService": {}, "Get-MailboxTransportService": {}, "Get-ADSite": {},
    "Get-DomainController": {}, "Get-ADServerSettings": {}, "Get-MigrationConfig": {},
    "Get-PublicFolder": {}, "Get-PublicFolderStatistics": {}, "Get-MailPublicFolder": {},
}  # fmt: skip


@pytest.mark.parametrize("culture", [ENGLISH, GERMAN], ids=lambda culture: culture.name)
@pytest.mark.parametrize("cmdlet", sorted(SHAPES))
def test_objects_have_all_that_their_shape_names_and_no_more(cmdlet: str, culture: Culture) -> None:
    shell = Shell(town(400), M)
    shell.world.conditions(M).culture = culture
    item = {"Identity": r"Store\DatabaseMountedMonitor", "ItemType": "Monitor", "Server": M}
    shell.ask("Add-ServerMonitoringOverride", PropertyName="Enabled", PropertyValue="0", **item)
    given, shape = SHAPES[cmdlet], shapes.shape(cmdlet)
    found = shell.objects(cmdlet, **given)
    assert found
    for one in found:
        assert one.types == shape.types
        assert list(one.adapted) == [name for name, _ in shape.properties]
    chosen = shell.engine.select(shell.account, (Call(cmdlet, tuple(given.items())),), ("*",))
    assert len([one for one in chosen if isinstance(one, Item)]) == len(found)


@pytest.mark.parametrize(("given", "bounds"), [
    ("10.9.9.0/24", ("10.9.9.0", "10.9.9.255", "CIDR", "::100")),
    ("10.9.8.77/23", ("10.9.8.0", "10.9.9.255", "CIDR", "::200")),
    ("10.9.8.7", ("10.9.8.7", "10.9.8.7", "SingleAddress", "::1")),
    ("10.9.8.7-10.9.8.8", ("10.9.8.7", "10.9.8.8", "LoHi", "::2")),
    ("0.0.0.0-255.255.255.255", ("0.0.0.0", "255.255.255.255", "LoHi", "::1:0:0")),
])  # fmt: skip
def test_a_range_of_addresses_has_its_bounds(
    shell: Shell, given: str, bounds: tuple[str, str, str, str]
) -> None:
    identity = rf"{M}\Default Frontend {M}"
    assert shell.ask("Set-ReceiveConnector", Identity=identity, RemoteIPRanges=[given]) == []
    (one,) = shell.objects("Get-ReceiveConnector", Identity=identity)
    ranges = one["RemoteIPRanges"]
    assert isinstance(ranges, Obj)
    (shown,) = clixml.items(ranges)
    assert isinstance(shown, Obj) and shown.text == given
    names = ("LowerBound", "UpperBound", "RangeFormat", "Size")
    assert tuple(shown[name] for name in names) == bounds


@pytest.mark.parametrize("cmdlet", [name for name in SETS if name != "Set-ClientAccessServer"])
def test_every_setting_that_is_taken_is_also_shown(shell: Shell, cmdlet: str) -> None:
    file, names, _ = SETS[cmdlet]
    view = View(shell.world.organisation, shell.world.organisation.server(M), ENGLISH)
    for _, live in view.objects[file]():
        assert set(names) <= set(live)
    assert set(names) <= set(setting_values.makers(view.stores))


def test_a_smart_host_may_be_an_address(shell: Shell) -> None:
    shell.ask("Set-SendConnector", Identity=WAYS_OUT, SmartHosts=["10.1.2.3", "relay.example"])
    (one,) = shell.objects("Get-SendConnector")
    hosts = one["SmartHosts"]
    assert isinstance(hosts, Obj)
    shown = [(h.text, h["IsIPAddress"]) for h in clixml.items(hosts) if isinstance(h, Obj)]
    assert shown == [("[10.1.2.3]", True), ("relay.example", False)]


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [
        ("35MB", 35 * MIB),
        ("1.5 gb", 1536 * MIB),
        ("700", 700),
        ("35 MB (36,700,161 bytes)", 36700161),
    ],
)
def test_sizes_are_read_as_admins_write_them(written: str, bytes_: int) -> None:
    assert size(written) == bytes_


@pytest.mark.parametrize(("written", "span"), [
    ("2.00:00:00", timedelta(days=2)), ("02:30", timedelta(hours=2.5)), ("7", timedelta(days=7)),
    ("00:00:30.5", timedelta(seconds=30)),
])  # fmt: skip
def test_time_spans_are_read_as_admins_write_them(written: str, span: timedelta) -> None:
    assert setting_values.span(written) == span


@pytest.mark.parametrize("cmdlet", ["Test-ServiceHealth", "Get-ExchangeCertificate"])
def test_a_server_that_is_off_answers_nothing(shell: Shell, cmdlet: str) -> None:
    Switchboard(shell.world).on("server-down", "ls-ex2")
    assert "unavailable" in shell.error(cmdlet, Server=P).message


@pytest.mark.parametrize(("given", "fits"), [
    ({"Bindings": ["0.0.0.0:25"], "RemoteIPRanges": ["10.1.1.1"]}, True),
    ({"Bindings": ["0.0.0.0:25"], "RemoteIPRanges": ["0.0.0.0-255.255.255.255"]}, False),
    ({"Bindings": ["0.0.0.0:2525"], "RemoteIPRanges": ["10.1.1.1"]}, False),
    ({"Bindings": ["0.0.0.0:2525"], "RemoteIPRanges": ["10.1.1.1"],
      "TransportRole": "HubTransport"}, True),
])  # fmt: skip
def test_a_connector_needs_a_port_or_addresses_of_its_own(
    shell: Shell, given: dict[str, object], fits: bool
) -> None:
    named = {"Name": "Neu", "Server": M, "Custom": None, "TransportRole": "FrontendTransport"}
    made = shell.ask("New-ReceiveConnector", **(named | given))
    assert [isinstance(one, Item) for one in made] == [fits]
    if not fits:
        assert "conflict with the settings on Receive connector" in said(made)[0]
        error = shell.error("Set-ReceiveConnector", Identity=rf"{M}\Client Frontend {M}", **given)
        assert "conflict" in error.message


@pytest.mark.parametrize("name", ["SmartHosts", "SourceTransportServers"])
@pytest.mark.parametrize("empty", [None, []])
def test_a_way_out_needs_somebody_at_both_ends(shell: Shell, name: str, empty: object) -> None:
    error = shell.error("Set-SendConnector", Identity=WAYS_OUT, **{name: empty})
    assert "Cannot bind argument" in error.message
    assert shell.world.organisation.settings.changed == {}


def test_a_scope_is_taken_away_with_null(shell: Shell) -> None:
    for given in (["Rathaus"], None):
        assert shell.ask("Set-ClientAccessService", Identity=M, AutoDiscoverSiteScope=given) == []
    (one,) = shell.objects("Get-ClientAccessService", Identity=M)
    scope = one["AutoDiscoverSiteScope"]
    assert isinstance(scope, Obj) and clixml.items(scope) == []

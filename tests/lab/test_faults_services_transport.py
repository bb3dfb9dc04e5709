"""Every fault of services, mail flow, imports and certificates: on, seen through a cmdlet, off."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.lab import services
from mailmig.lab.faults.machines import AlreadyChanged
from mailmig.lab.faults.switchboard import (
    BadTarget,
    Fault,
    NoTarget,
    Switchboard,
    WrongWay,
    kinds,
)
from mailmig.lab.running.scripts import Scripts
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from tests.lab.asking import Shell, text, town

M, OLD = "LS-EX1", "LS-EX16"
OURS = ("services", "transport", "imports", "certificates")
See = Callable[[Shell], object]


def _required(shell: Shell) -> object:
    return [o["RequiredServicesRunning"] for o in shell.objects("Test-ServiceHealth", Server=M)]


def _mode(shell: Shell) -> object:
    server = shell.world.organisation.server(M)
    conditions = shell.world.conditions(M)
    return [(one.name, services.start_mode(conditions, one), services.runs(conditions, one.name))
            for one in services.of(server)]  # fmt: skip


def _component(shell: Shell) -> object:
    return [text(o, "State") for o in shell.objects("Get-ServerComponentState", Identity=M)]


def _alerts(shell: Shell) -> object:
    return [text(one, "AlertValue") for one in shell.objects("Get-HealthReport", Identity=M)]


def _pools(shell: Shell) -> object:
    conditions = shell.world.conditions(M)
    return sorted(conditions.stopped_pools), sorted(conditions.recycled_pools)


def _overrides(shell: Shell) -> object:
    found = shell.objects("Get-ServerMonitoringOverride", Server=M)
    now = shell.world.organisation.now
    return [(text(one, "MonitoringItemName"), (one["ExpirationTime"] or now) < now)  # type: ignore[operator]
            for one in found]  # fmt: skip


def _queues(shell: Shell) -> object:
    return {text(o, "Identity"): (text(o, "Status"), int(text(o, "MessageCount")) > 2,
                                  o["DeferredMessageCount"])
            for o in shell.objects("Get-Queue", Server=OLD)}  # fmt: skip


def _shadows(shell: Shell) -> object:
    found = shell.objects("Get-Queue", Server=M, Filter="DeliveryType -eq 'ShadowRedundancy'")
    return [int(text(one, "MessageCount")) > 1 for one in found]


def _pressure(shell: Shell) -> object:
    (one,) = shell.objects("Get-ExchangeDiagnosticInfo", Server=OLD, Process="EdgeTransport",
                           Component="ResourceThrottling")  # fmt: skip
    return [use.text for use in ET.fromstring(str(one["Result"])).iter("CurrentResourceUse")]


def _latency(shell: Shell) -> object:
    (one,) = shell.objects("Test-Mailflow", Identity=OLD, TargetMailboxServer=OLD)
    return text(one, "MessageLatencyTime") > "00:00:30"


def _sources(shell: Shell) -> object:
    (one,) = shell.objects("Get-SendConnector")
    sources = one["SourceTransportServers"]
    assert isinstance(sources, Obj)
    return [str(server.text) for server in clixml.items(sources) if isinstance(server, Obj)]


def _receive(shell: Shell) -> object:
    return [o.text for o in shell.objects("Get-ReceiveConnector", Server=M)]


def _settings(shell: Shell) -> object:
    (one,) = shell.objects("Get-TransportConfig")
    return one["ShadowRedundancyEnabled"], one["RejectMessageOnShadowFailure"]


def _auth(shell: Shell) -> object:
    (config,) = shell.objects("Get-AuthConfig")
    thumbprint = text(config, "CurrentCertificateThumbprint")
    found = shell.ask("Get-ExchangeCertificate", Server=M, Thumbprint=thumbprint)
    if not found or not hasattr(found[0], "xml"):
        return "missing"
    (one,) = shell.objects("Get-ExchangeCertificate", Server=M, Thumbprint=thumbprint)
    der = one["RawData"]
    assert isinstance(der, bytes)
    ends = x509.load_der_x509_certificate(der).not_valid_after_utc
    return ends < shell.world.organisation.now


def _import(shell: Shell) -> object:
    file = shell.world.organisation.pst_files[0]
    return sorted(shell.world.imports.broken), file.path


PST = "<a file of the story>"
CASES: dict[str, tuple[str, See]] = {
    "service-stopped": (rf"{M}\MSExchangeTransport", _required),
    "service-disabled": (rf"{M}\MSExchangeMailboxAssistants", _mode),
    "component-inactive": (rf"{M}\OwaProxy", _component),
    "component-local-only": (M, _component),
    "health-set-unhealthy": (rf"{M}\OWA.Proxy", _alerts),
    "app-pool-stopped": (rf"{M}\MSExchangeMapiFrontEndAppPool", _alerts),
    "app-pool-recycled": (rf"{M}\MSExchangeServicesAppPool", _pools),
    "monitoring-override": (rf"{M}\Store\DatabaseMountedMonitor", _overrides),
    "monitoring-override-expired": (rf"{M}\Store\DatabaseMountedMonitor", _overrides),
    "queue-backlog": (OLD, _queues),
    "smart-host-refuses": (OLD, _queues),
    "queue-suspended": (rf"{OLD}\Buerger", _queues),
    "messages-deferred": (OLD, _queues),
    "poison-messages": (OLD, _queues),
    "shadow-queue-grows": (M, _shadows),
    "back-pressure": (rf"{OLD}\High", _pressure),
    "mail-slow": (OLD, _latency),
    "send-connector-one-source": (M, _sources),
    "receive-connector-missing": (rf"{M}\Default Frontend {M}", _receive),
    "shadow-redundancy-off": ("", _settings),
    "shadow-failure-rejects": ("", _settings),
    "pst-locked": (PST, _import),
    "pst-corrupt": (PST, _import),
    "auth-certificate-expired": ("", _auth),
    "auth-certificate-missing": (M, _auth),
}


@pytest.fixture(name="shell")
def _shell() -> Shell:
    shell = Shell(town(60), M)
    number = shell.world.organisation.databases["SE-DB02"]
    for mailbox in shell.world.organisation.present():
        if mailbox.number % 3 == 0:
            mailbox.database = number.name
    return shell


def ours() -> dict[str, type[Fault]]:
    modules = {f"mailmig.lab.faults.{name}" for name in OURS}
    return {name: kind for name, kind in kinds().items() if kind.__module__ in modules}


def test_every_fault_of_these_modules_is_tried_here() -> None:
    on_the_wire = {"gateway-one-next-hop", "smtp-no-starttls", "transport-certificate-missing"}
    assert set(CASES) | on_the_wire == set(ours())


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_fault_is_seen_while_it_is_on_and_not_afterwards(shell: Shell, name: str) -> None:
    target, see = CASES[name]
    target = shell.world.organisation.pst_files[0].path if target == PST else target
    shell.world.advance(timedelta(minutes=10))
    board, before = Switchboard(shell.world), see(shell)
    board.on(name, target)
    shell.world.advance(timedelta(hours=6))
    assert see(shell) != before
    board.off(name, target)
    shell.world.advance(timedelta(minutes=20))
    assert see(shell) == before


@pytest.mark.parametrize("name", sorted(name for name, (t, _) in CASES.items() if t))
@pytest.mark.parametrize("target", ["nix", rf"{M}\nix", "Ü ö", "\\"])
def test_a_fault_that_cannot_happen_changes_nothing(shell: Shell, name: str, target: str) -> None:
    _, see = CASES[name]
    before = see(shell)
    with pytest.raises(BadTarget):
        Switchboard(shell.world).on(name, target)
    assert see(shell) == before


def test_every_row_of_services_and_transport_that_cmdlets_show_has_its_fault() -> None:
    shown = {row for kind in kinds().values() for row in kind.shows}
    assert {
        "svc_required", "svc_list", "svc_components", "svc_component_requesters",
        "svc_health_sets", "svc_app_pools", "svc_monitoring_overrides", "tr_queue_depth",
        "tr_queue_state", "tr_poison", "tr_shadow_queue", "tr_back_pressure", "tr_mailflow",
        "tr_outbound_sources", "tr_receive_connectors", "tr_shadow_redundancy",
    } <= shown  # fmt: skip


def test_a_stopped_service_is_one_truth_for_cmdlet_and_machine(shell: Shell) -> None:
    Switchboard(shell.world).on("service-stopped", rf"{M}\MSExchangeTransport")
    fqdn = shell.world.organisation.server(M).fqdn
    rows = Scripts(shell.world, fqdn)._rows("services", {"names": ["MSExchangeTransport"]})
    assert rows is not None and [row["State"] for row in rows] == ["Stopped"]
    assert _required(shell) == [True, True, False]


def state(shell: Shell) -> dict[str, object]:
    """All that these faults change."""
    world = shell.world
    settings_ = world.organisation.settings
    return {
        "conditions": [
            (set(c.stopped_services), set(c.disabled_services), set(c.stopped_pools),
             set(c.recycled_pools))
            for c in map(world.conditions, (M, OLD))
        ],
        "components": [_component(shell)],
        "settings": {key: dict(changed) for key, changed in settings_.changed.items() if changed},
        "removed": set(settings_.removed),
        "posts": [
            (dict(post.pressure), dict(post.refused), set(post.unheard), post.delay_s,
             [(q.name, q.suspended, q.deferred) for q in post.queues.values() if not q.name.isdigit()])
            for post in world.transport.posts.values()
        ],
        "overrides": list(world.monitoring.overrides), "hanging": set(world.monitoring.hanging),
        "broken": dict(world.imports.broken), "auth": world.certificates.auth_thumbprint(),
        "certificates": [world.certificates.kept(one) for one in world.organisation.servers],
        "claims": dict(world.surroundings.claims),
    }  # fmt: skip


TARGETS = (
    "", M, OLD, rf"{M}\MSExchangeTransport", rf"{M}\msexchangetransport", rf"{M}\OwaProxy",
    rf"{M}\OWA.Proxy", rf"{M}\MSExchangeMapiFrontEndAppPool", rf"{OLD}\High", rf"{OLD}\Medium",
    rf"{M}\Store\DatabaseMountedMonitor", rf"{M}\Default Frontend {M}",
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(sorted(CASES)),
                          st.sampled_from(TARGETS)), max_size=15))  # fmt: skip
def test_any_order_of_on_and_off_leaves_all_as_it_was(steps: list[tuple[bool, str, str]]) -> None:
    shell = Shell(town(8), M)
    before = state(shell)
    board = Switchboard(shell.world)
    for on, name, target in steps:
        with suppress(BadTarget, NoTarget, WrongWay, AlreadyChanged):
            (board.on if on else board.off)(name, target)
    for active in list(board):  # the oldest first
        board.off(active.id, active.target)
    assert state(shell) == before


@pytest.mark.parametrize(("first", "second"), [
    (("auth-certificate-expired", ""), ("auth-certificate-missing", M)),
    (("send-connector-one-source", M), ("send-connector-one-source", "LS-EX2")),
    (("service-stopped", rf"{M}\MSExchangeRPC"), ("service-disabled", rf"{M}\MSExchangeRPC")),
])  # fmt: skip
def test_two_faults_do_not_change_the_same_thing(
    shell: Shell, first: tuple[str, str], second: tuple[str, str]
) -> None:
    board = Switchboard(shell.world)
    board.on(*first)
    with pytest.raises((AlreadyChanged, BadTarget)):
        board.on(*second)


@pytest.mark.parametrize(("name", "target"), [
    ("health-set-unhealthy", rf"{OLD}\Clustering"),
    ("monitoring-override", rf"{OLD}\Clustering\ClusterServiceMonitor"),
    ("app-pool-recycled", rf"{M}\MSExchangeOWAAppPool"),
])  # fmt: skip
def test_a_fault_that_nobody_could_see_is_refused(shell: Shell, name: str, target: str) -> None:
    with pytest.raises(BadTarget):
        Switchboard(shell.world).on(name, target)


@pytest.mark.parametrize(("name", "target"), [
    ("setup-residue", M), ("component-local-only", M), ("component-inactive", rf"{M}\ImapProxy"),
])  # fmt: skip
def test_services_stop_with_the_proxy_that_a_fault_switches_off(
    shell: Shell, name: str, target: str
) -> None:
    services.start(shell.world, M, "MSExchangeImap4")
    board = Switchboard(shell.world)
    board.on(name, target)
    assert not services.runs(shell.world.conditions(M), "MSExchangeImap4")
    board.off(name, target)
    assert not services.runs(shell.world.conditions(M), "MSExchangeImap4")

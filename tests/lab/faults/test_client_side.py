"""Faults of the client side give back what they took, and tell Exchange's own tests what they did."""

from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict
from datetime import timedelta

import pytest
from dns.rdatatype import RdataType
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.lab.faults.machines import AlreadyChanged
from mailmig.lab.faults.switchboard import BadTarget, NoTarget, Switchboard, WrongWay, kinds
from mailmig.lab.server_tls import SERVICES
from mailmig.lab.web.conditions import WebCondition
from mailmig.lab.web.whole import add_staff
from mailmig.lab.world import World
from tests.lab.asking import Shell, text, town

FAMILIES = {"client_access", "mapi", "gateway", "network", "tls"}
OTHERS = ("smtp-no-starttls", "gateway-one-next-hop")
MINE = sorted(n for n, kind in kinds().items() if kind.family in FAMILIES or n in OTHERS)


def world() -> World:
    made = town(20)
    add_staff(made, made.accounts)
    for server in made.organisation.servers:
        made.tls.of(server.name, "IIS")
    return made


def targets(made: World) -> Iterator[str]:
    state, board = made.organisation, Switchboard(made)
    yield from ("", "LS-EX1", "ls-ex16", r"LS-EX1\mapi", r"LS-EX16\ews", r"LS-EX1\IIS", "mapi")
    yield from ("ews", r"Rathaus\Stadthaus", "LS-EX1:443", "LS-EX2:25")
    for owner, delegate in list(state.full_access):
        pair = state.mailboxes[owner].alias, state.mailboxes[delegate].alias
        with suppress(BadTarget):
            board.on("mapi-no-permission", "\\".join(pair))
            yield from (*pair, "\\".join(pair))
            return


TARGETS = tuple(targets(world()))


def settings_of(made: World) -> dict[str, object]:
    """All that these faults change."""
    state, around = made.organisation, made.surroundings
    names = [one.name for one in state.servers]
    zone = around.names.zone_of(state.namespace, outside=True)
    assert zone is not None
    return {
        "settings": {key: dict(each) for key, each in state.settings.changed.items() if each},
        "web": {name: asdict(made.conditions(name).web) for name in names},
        "mapi": {name: asdict(made.conditions(name).mapi) for name in names},
        "discovery": asdict(made.discovery),
        "gateway": asdict(around.gateway),
        "lines": asdict(around.lines),
        "claims": dict(around.claims),
        "accounts": {one.name: one.password.reveal() for one in made.accounts},
        "locked": sorted(one.name for one in made.accounts if made.accounts.is_locked(one)),
        "rights": list(state.full_access),
        "rights without automapping": set(state.full_access.unmapped),
        "protocols": [one.protocols for one in state.mailboxes],
        "gone": [one.gone for one in state.mailboxes],
        "transit": set(state.locked_in_transit),
        "next hop": made.transport.gateway_to,
        "shown": {
            (name, service): made.tls.of(name, service).certificate.pem
            for name in names for service in SERVICES
        },
        "lowest": {
            (name, service): made.tls.of(name, service).context.minimum_version
            for name in names for service in SERVICES
        },
        "gateway shown": made.tls.gateway.certificate.pem,
        "stores": {one.name: made.certificates.on(one) for one in state.servers},
        "oauth": made.certificates.auth_thumbprint(),
        "outside": {
            name: zone.of_type(server, name, RdataType.A)
            for server in zone.servers for name in zone.replica(server).nodes
            if zone.of_type(server, name, RdataType.A)
        },
    }  # fmt: skip


def whole(found: dict[str, object]) -> dict[str, object]:
    """Directories that were looked at and are healthy are as good as none."""
    web = found["web"]
    assert isinstance(web, dict)
    healthy = asdict(WebCondition())
    for each in web.values():
        each["of"] = {path: one for path, one in each["of"].items() if one != healthy}
    return found


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("on"), st.sampled_from(MINE), st.sampled_from(TARGETS)),
        st.tuples(st.just("off"), st.integers(0, 20), st.just("")),
    ),
    max_size=20,
)
FITTING = (BadTarget, NoTarget, AlreadyChanged, WrongWay)


@pytest.mark.parametrize("name", MINE)
def test_a_fault_changes_something_and_gives_it_back(name: str) -> None:
    made = world()
    board, before = Switchboard(made), whole(deepcopy(settings_of(made)))
    for target in TARGETS:
        with suppress(*FITTING):
            board.on(name, target)
            break
    assert len(list(board)) == 1, f"no target for {name}"
    assert whole(deepcopy(settings_of(made))) != before
    board.all_off()
    assert whole(deepcopy(settings_of(made))) == before


@settings(max_examples=25)
@given(STEPS)
def test_any_order_leaves_the_client_side_as_it_was(
    steps: list[tuple[str, str | int, str]],
) -> None:
    made = world()
    board, before = Switchboard(made), whole(deepcopy(settings_of(made)))
    for _, name, target in steps:
        active = list(board)
        if isinstance(name, str):
            with suppress(*FITTING):
                board.on(name, target)
        elif active:
            one = active[name % len(active)]
            board.off(one.id, one.target)
    while active := list(board):  # the first ones first
        board.off(active[0].id, active[0].target)
    assert whole(deepcopy(settings_of(made))) == before


# A fault that is on, and one that needs something more before it comes to the same thing.
IN_THE_WAY = (
    ("mapi-url-outside-wrong", "LS-EX1", "mapi-url-outside-missing", ""),
    ("url-outside-missing", r"LS-EX16\mapi", "shared-outside-not-published", "LS-EX16"),
    ("auth-certificate-missing", "LS-EX1", "smtp-no-starttls", "LS-EX1"),
)


@pytest.mark.parametrize(("first", "target", "second", "other"), IN_THE_WAY)
def test_a_fault_that_is_refused_half_way_leaves_nothing(
    first: str, target: str, second: str, other: str
) -> None:
    made = world()
    board = Switchboard(made)
    board.on(first, target)
    before = whole(deepcopy(settings_of(made)))
    with pytest.raises(AlreadyChanged, match=first):
        board.on(second, other)
    assert whole(deepcopy(settings_of(made))) == before
    board.off(first, target)
    board.on(second, other)


def test_a_target_that_ends_too_early_is_refused() -> None:
    board = Switchboard(world())
    for name in ("web-slow", "dns-name-missing", "dns-record-ages", "dns-one-address"):
        for target in ("LS-EX1\\", "mail.lindenstadt.example\\"):
            with pytest.raises(BadTarget):
                board.on(name, target)


def test_what_was_not_mapped_by_outlook_is_not_mapped_afterwards() -> None:
    made = world()
    board, rights = Switchboard(made), made.organisation.full_access
    target = next(one for one in TARGETS if made_for(made, one))
    owner, delegate = (
        next(one.number for one in made.organisation.mailboxes if one.alias == alias)
        for alias in target.split("\\")
    )
    rights.unmapped.add((owner, delegate))
    board.on("mapi-no-permission", target)
    assert not rights.unmapped and (owner, delegate) not in rights
    board.off("mapi-no-permission", target)
    assert rights.unmapped == {(owner, delegate)} and (owner, delegate) in rights


def test_what_an_admin_gave_back_is_not_given_twice() -> None:
    made = world()
    board, rights = Switchboard(made), made.organisation.full_access
    target = next(one for one in TARGETS if made_for(made, one))
    before = sorted(rights)
    board.on("mapi-no-permission", target)
    (taken,) = set(before) - set(rights)
    rights.grant(*taken)
    board.off("mapi-no-permission", target)
    assert sorted(rights) == before


def made_for(made: World, target: str) -> bool:
    """Whether somebody can lose his permission by this target."""
    board = Switchboard(made)
    with suppress(*FITTING):
        board.on("mapi-no-permission", target)
        board.all_off()
        return True
    return False


def test_exchanges_own_tests_tell_of_a_dead_pool_and_a_dead_database() -> None:
    made = world()
    board, shell = Switchboard(made), Shell(made, "LS-EX16")
    probe = r"OutlookMapiHttp.Protocol\OutlookMapiHttpSelfTestProbe"

    def outlook() -> str:
        (found,) = shell.objects("Test-OutlookConnectivity", ProbeIdentity=probe)
        return text(found, "ResultType")

    def store() -> set[str]:
        return {text(one, "Result") for one in shell.objects("Test-MAPIConnectivity")}

    assert (outlook(), store()) == ("Succeeded", {"Success"})
    board.on("app-pool-stopped", r"LS-EX16\MSExchangeMapiMailboxAppPool")
    board.on("database-dismounted", "Buerger")
    made.advance(timedelta(minutes=5))  # managed availability looks now and then
    assert (outlook(), store()) == ("Failed", {"Success", "*FAILURE*"})
    board.all_off()
    assert "*FAILURE*" not in store()

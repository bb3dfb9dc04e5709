"""Mail on its way in the lab: queues, retries, shadow messages, draining, redirection."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.lab import connectors, services
from mailmig.lab.afterwards import migrate
from mailmig.lab.cmdlets.queue_filter import BadFilter, matches
from mailmig.lab.faults.switchboard import Switchboard
from mailmig.lab.founding import found
from mailmig.lab.queues import FIRST_RETRIES, Queue
from mailmig.lab.story import read as read_story
from mailmig.lab.transport import RESUBMIT
from mailmig.lab.world import World
from mailmig.wire.clixml import Obj
from tests.lab.asking import Shell, said, text

MINUTE = timedelta(minutes=1)
M, P = "LS-EX1", "LS-EX2"


def after() -> World:
    """The town after its migration: mail comes to the DAG."""
    story = read_story("town")
    organisation = found(story, 80)
    migrate(organisation, story)
    return World(organisation)


@pytest.fixture(name="shell")
def _shell() -> Shell:
    return Shell(after(), M)


def queues(shell: Shell, server: str = M) -> dict[str, tuple[str, int]]:
    """Per next hop: status and count."""
    found = shell.objects("Get-Queue", Server=server)
    return {text(one, "NextHopDomain"): (text(one, "Status"), int(text(one, "MessageCount")))
            for one in found}  # fmt: skip


def waiting(world: World) -> float:
    posts = world.transport.posts.values()
    return sum(q.waiting for post in posts for q in post.queues.values() if q.is_active)


def moment(obj: Obj, name: str) -> datetime:
    value = obj[name]
    assert isinstance(value, datetime)
    return value


def gateway(shell: Shell) -> str:
    return shell.world.organisation.smart_host


def refuse(shell: Shell, server: str = M) -> None:
    shell.world.transport.posts[server].refused[gateway(shell)] = "451 4.4.0 not now"


def test_healthy_servers_have_queues_in_which_nothing_waits(shell: Shell) -> None:
    shell.world.advance(timedelta(hours=5))
    found = queues(shell)
    assert {name for name in found if name.startswith("se-db")} == {
        name.lower() for name in shell.world.organisation.databases if name.startswith("SE-")
    }
    assert found[gateway(shell)] == ("Ready", 0)
    assert "Poison Message" not in found
    assert all(count < 5 for name, (_, count) in found.items() if "ls-ex2" not in name)
    assert shell.world.transport.outside == 0


def test_a_hop_that_refuses_lets_its_queue_grow_and_empties_it_at_the_next_try(
    shell: Shell,
) -> None:
    refuse(shell)
    shell.world.advance(20 * MINUTE)
    grown = queues(shell)[gateway(shell)]
    assert grown[0] == "Retry" and grown[1] > 0
    (one,) = shell.objects("Get-Queue", Server=M, Filter="Status -eq 'Retry'")
    assert one["RetryCount"] == 7 and "451 4.4.0" in text(one, "LastError")
    first, last, following = (moment(one, f"{name}RetryTime") for name in ("First", "Last", "Next"))
    assert (last - first, following - first) == (19 * MINUTE, 24 * MINUTE)
    shell.world.transport.posts[M].refused.clear()
    shell.world.advance(3 * MINUTE)
    assert queues(shell)[gateway(shell)][0] == "Retry"
    shell.world.advance(2 * MINUTE)
    assert queues(shell)[gateway(shell)] == ("Ready", 0)


def test_an_admin_who_does_not_wait_tries_again(shell: Shell) -> None:
    refuse(shell)
    shell.world.advance(40 * MINUTE)
    shell.world.transport.posts[M].refused.clear()
    (one,) = shell.objects("Get-Queue", Server=M, Filter="Status -eq 'Retry'")
    assert shell.ask("Retry-Queue", Identity=text(one, "Identity"), Confirm=False) == []
    shell.world.advance(MINUTE)
    assert queues(shell)[gateway(shell)] == ("Ready", 0)


def test_a_suspended_queue_keeps_its_messages_until_it_is_resumed(shell: Shell) -> None:
    (one,) = shell.objects("Get-Queue", Server=M, Filter="NextHopDomain -eq 'se-db01'")
    identity = text(one, "Identity")
    assert shell.ask("Suspend-Queue", Identity=identity, Confirm=False) == []
    shell.world.advance(timedelta(hours=8))
    status, count = queues(shell)["se-db01"]
    assert status == "Suspended" and count > 0
    assert shell.ask("Resume-Queue", Identity=identity, Confirm=False) == []
    shell.world.advance(MINUTE)
    assert queues(shell)["se-db01"] == ("Ready", 0)


def test_a_dismounted_database_shows_in_the_queues_of_both_servers(shell: Shell) -> None:
    organisation = shell.world.organisation
    organisation.dismount(organisation.databases["SE-DB01"])
    shell.world.advance(timedelta(hours=2))
    for server in (M, P):
        assert queues(shell, server)["se-db01"][0] == "Retry"
    organisation.mount(organisation.databases["SE-DB01"])
    shell.world.advance(6 * MINUTE)
    assert queues(shell)["se-db01"] == ("Ready", 0)


def test_a_transport_service_that_does_not_run_has_no_queues_to_show(shell: Shell) -> None:
    services.stop(shell.world, M, services.TRANSPORT)
    assert "isn't running" in shell.error("Get-Queue", Server=M).message
    services.start(shell.world, M, services.TRANSPORT)
    assert "starting" in shell.error("Get-Queue", Server=M).message
    shell.world.advance(MINUTE)
    assert gateway(shell) in queues(shell)


def test_draining_begins_with_the_next_start_of_the_service(shell: Shell) -> None:
    shell.ask("Set-ServerComponentState", Identity=M, Component="HubTransport", State="Draining",
              Requester="Maintenance")  # fmt: skip
    shell.world.advance(MINUTE)
    assert shell.world.transport.accepts(M)
    services.restart(shell.world, M, services.TRANSPORT)
    shell.world.advance(MINUTE)
    assert not shell.world.transport.accepts(M) and shell.world.transport.accepts(P)
    shell.ask("Set-ServerComponentState", Identity=M, Component="HubTransport", State="Active",
              Requester="Maintenance")  # fmt: skip
    shell.world.advance(MINUTE)
    assert not shell.world.transport.accepts(M)
    services.restart(shell.world, M, services.TRANSPORT)
    shell.world.advance(MINUTE)
    assert shell.world.transport.accepts(M)


def test_redirection_carries_off_what_is_active_and_nothing_else(shell: Shell) -> None:
    refuse(shell)
    shell.world.transport.posts[M].queues["Poison"].waiting = 3
    shell.world.advance(timedelta(hours=6))
    services.restart(shell.world, M, services.TRANSPORT)
    shell.world.transport.posts[M].draining = True
    shell.world.advance(MINUTE)
    before = waiting(shell.world)
    assert queues(shell)[gateway(shell)][1] > 5
    fqdn = shell.world.organisation.server(P).fqdn
    assert "fully qualified" in shell.error("Redirect-Message", Server=M, Target=P,
                                            Confirm=False).message  # fmt: skip
    assert shell.ask("Redirect-Message", Server=M, Target=fqdn, Confirm=False) == []
    shell.world.advance(MINUTE)
    found = queues(shell)
    assert gateway(shell) not in found or found[gateway(shell)][1] == 0
    assert found["Poison Message"] == ("Ready", 3)
    assert waiting(shell.world) < before


def test_redirection_to_a_server_that_takes_nothing_moves_nothing(shell: Shell) -> None:
    refuse(shell)
    shell.world.advance(timedelta(hours=6))
    count = queues(shell)[gateway(shell)][1]
    services.stop(shell.world, P, services.TRANSPORT)
    fqdn = shell.world.organisation.server(P).fqdn
    shell.ask("Redirect-Message", Server=M, Target=fqdn, Confirm=False)
    shell.world.advance(MINUTE)
    assert queues(shell)[gateway(shell)][1] >= count > 0


def test_a_redirection_asks_first(shell: Shell) -> None:
    fqdn = shell.world.organisation.server(P).fqdn
    (error,) = said(shell.ask("Redirect-Message", Server=M, Target=fqdn))
    assert "prompts the user" in error


def test_the_holder_sends_the_shadow_messages_of_a_server_that_is_gone(shell: Shell) -> None:
    refuse(shell, M)
    shell.world.advance(timedelta(hours=4))
    fqdn = shell.world.organisation.server(M).fqdn
    held = queues(shell, P)[fqdn][1]
    assert held > 0
    services.stop(shell.world, M, services.TRANSPORT)
    shell.world.advance(RESUBMIT - MINUTE)
    assert abs(queues(shell, P)[fqdn][1] - held) <= 1
    shell.world.advance(2 * MINUTE)
    assert fqdn not in queues(shell, P)
    own = shell.world.transport.posts[M].queues.values()
    assert sum(queue.waiting for queue in own if queue.is_active) < 1


def test_mail_waits_at_the_gateway_when_nobody_takes_it(shell: Shell) -> None:
    for server in (M, P):
        services.stop(shell.world, server, services.FRONTEND)
    shell.world.advance(timedelta(hours=5))
    assert shell.world.transport.outside > 3
    for server in (M, P):
        services.start(shell.world, server, services.FRONTEND)
    shell.world.advance(MINUTE)
    assert shell.world.transport.outside == 0


def test_with_one_node_down_mail_is_refused_when_every_message_needs_its_shadow(
    shell: Shell,
) -> None:
    shell.ask("Set-TransportConfig", RejectMessageOnShadowFailure=True)
    assert shell.world.transport.accepts(M)
    services.stop(shell.world, P, services.TRANSPORT)
    assert not shell.world.transport.accepts(M)
    shell.ask("Set-TransportConfig", RejectMessageOnShadowFailure=False)
    assert shell.world.transport.accepts(M)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 200), st.sampled_from("abcdef")), max_size=12))
def test_no_message_is_lost_and_none_comes_from_nowhere(steps: list[tuple[int, str]]) -> None:
    world = after()
    shell = Shell(world, M)
    acts = {
        "a": lambda: refuse(shell),
        "b": lambda: world.transport.posts[M].refused.clear(),
        "c": lambda: services.stop(world, P, services.TRANSPORT),
        "d": lambda: services.start(world, P, services.TRANSPORT),
        "e": lambda: world.organisation.dismount(world.organisation.databases["SE-DB01"]),
        "f": lambda: world.transport.redirect(M, P),
    }
    for minutes, act in steps:
        acts[act]()
        world.advance(minutes * MINUTE)
    flow = world.transport
    out = flow.delivered + flow.expired + flow.outside + waiting(world)
    assert flow.came == pytest.approx(out)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=8))
def test_it_makes_no_difference_in_how_many_steps_time_passes(steps: list[int]) -> None:
    found = []
    for parts in (steps, [sum(steps)]):
        shell = Shell(after(), M)
        refuse(shell)
        for minutes in parts:
            shell.world.advance(minutes * MINUTE)
        found.append(shell.world.transport.posts[M].queues)
    counts = [{name: q.waiting for name, q in queues_.items()} for queues_ in found]
    assert counts[0] == pytest.approx(counts[1])


@given(st.integers(0, 5000))
def test_the_next_try_lies_ahead_and_the_last_one_does_not(minutes: int) -> None:
    world = after()
    now = world.organisation.now
    for database in ("", "DB"):
        queue = Queue("A", "7", "SmtpDeliveryToMailbox", "x", failing=now, database=database)
        at = now + minutes * MINUTE
        count, last, following = queue.tries(at)
        assert last <= at < following and count >= 0
        assert following - last <= 10 * MINUTE
    assert tuple(sorted(set(FIRST_RETRIES))) == FIRST_RETRIES


@pytest.mark.parametrize(("filter_", "fits"), [
    ("MessageCount -gt 5", True), ("MessageCount -gt 7", False),
    ("{MessageCount -gt 0 -and DeliveryType -ne 'ShadowRedundancy'}", True),
    ("Status -eq 'retry' -or MessageCount -eq 0", False),
    ("Status -eq 'Ready' -or Status -eq 'x' -and MessageCount -eq 0", True),
    ("(Status -eq 'Ready' -or Status -eq 'x') -and MessageCount -eq 0", False),
    ("NextHopDomain -like 'se-*'", True), ('NextHopDomain -eq "se-db01"', True),
    ("NextHopDomain -like '*x'", False), ("NextHopDomain -eq 'o''neil'", False),
])  # fmt: skip
def test_filters_are_read_as_exchange_reads_them(filter_: str, fits: bool) -> None:
    facts: dict[str, str | int] = {
        "messagecount": 7, "status": "Ready", "deliverytype": "SmtpDeliveryToMailbox",
        "nexthopdomain": "se-db01",
    }  # fmt: skip
    assert matches(filter_, facts) is fits


@pytest.mark.parametrize("filter_", [
    "MessageCount", "MessageCount -gt", "MessageCount -foo 5", "Nothing -eq 5", "MessageCount -gt x",
    "(MessageCount -gt 5", "'", "MessageCount -gt 5 MessageCount",
])  # fmt: skip
def test_a_filter_that_cannot_be_read_is_refused(shell: Shell, filter_: str) -> None:
    with pytest.raises(BadFilter):
        matches(filter_, {"messagecount": 7})
    assert "Invalid filter" in shell.error("Get-Queue", Server=M, Filter=filter_).message


def test_the_ways_in_and_out_can_be_changed(shell: Shell) -> None:
    out = connectors.outbound(shell.world.organisation)
    assert out.sources == (M, P)
    identity = "Internet über Gateway"
    assert shell.ask("Set-SendConnector", Identity=identity, SourceTransportServers=[P],
                     MaxMessageSize="50MB") == []  # fmt: skip
    assert connectors.outbound(shell.world.organisation).sources == (P,)
    (one,) = shell.objects("Get-SendConnector")
    assert "50 MB" in text(one, "MaxMessageSize")
    shell.ask("Set-SendConnector", Identity=identity, MaxMessageSize="unlimited")
    assert text(shell.objects("Get-SendConnector")[0], "MaxMessageSize") == "Unlimited"
    shell.world.advance(MINUTE)
    assert connectors.SEND.lower() in queues(shell)
    assert (
        "couldn't be found"
        in shell.error(
            "Set-SendConnector", Identity=identity, SourceTransportServers=["nix"]
        ).message
    )


def test_two_starts_at_the_same_moment_are_two_starts(shell: Shell) -> None:
    services.restart(shell.world, M, services.TRANSPORT)
    shell.world.transport.advance(shell.world.organisation.now)
    shell.ask("Set-ServerComponentState", Identity=M, Component="HubTransport", State="Draining",
              Requester="Maintenance")  # fmt: skip
    services.restart(shell.world, M, services.TRANSPORT)
    shell.world.advance(MINUTE)
    assert not shell.world.transport.accepts(M)


def test_a_service_that_runs_does_not_begin_anew_when_it_is_started(shell: Shell) -> None:
    services.start(shell.world, M, services.TRANSPORT)
    assert gateway(shell) in queues(shell)


def test_a_server_that_boots_in_maintenance_still_drains_when_it_is_back(shell: Shell) -> None:
    wanted = {"HubTransport": "Draining", "ServerWideOffline": "Inactive"}
    for component, state in wanted.items():
        shell.ask("Set-ServerComponentState", Identity=M, Component=component, State=state,
                  Requester="Maintenance")  # fmt: skip
    board = Switchboard(shell.world)
    board.on("server-down", "ls-ex1")
    shell.world.advance(5 * MINUTE)
    board.off("server-down", "ls-ex1")
    assert "starting" in shell.error("Get-Queue", Server=M).message
    shell.world.advance(MINUTE)
    shell.ask("Set-ServerComponentState", Identity=M, Component="ServerWideOffline",
              State="Active", Requester="Maintenance")  # fmt: skip
    shell.world.advance(MINUTE)
    assert not shell.world.transport.accepts(M)


def test_without_shadow_redundancy_no_message_needs_its_shadow(shell: Shell) -> None:
    shell.ask("Set-TransportConfig", RejectMessageOnShadowFailure=True,
              ShadowRedundancyEnabled=False)  # fmt: skip
    services.stop(shell.world, P, services.TRANSPORT)
    assert shell.world.transport.accepts(M)


def test_filters_may_ask_for_rates_and_retries(shell: Shell) -> None:
    refuse(shell)
    shell.world.advance(20 * MINUTE)
    for filter_ in (
        "RetryCount -gt 3",
        "Velocity -lt 0",
        "{OutgoingRate -eq 0 -and IncomingRate -gt 0}",
    ):
        (one,) = shell.objects("Get-Queue", Server=M, Filter=filter_)
        assert text(one, "NextHopDomain") == gateway(shell)


@pytest.mark.parametrize(("told", "expired"), [("1.00:00:00", True), ("2.00:00:00", False)])
def test_a_message_expires_when_its_server_is_told(shell: Shell, told: str, expired: bool) -> None:
    assert shell.ask("Set-TransportService", Identity=M, MessageExpirationTimeout=told) == []
    refuse(shell)
    shell.world.advance(timedelta(hours=36))
    assert (shell.world.transport.expired > 0) is expired

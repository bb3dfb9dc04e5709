"""Single messages find their way, wait, or come back."""

from datetime import timedelta

import pytest

from mailmig.lab import founding, services, story
from mailmig.lab.contents import INBOX, Message
from mailmig.lab.population import Mailbox
from mailmig.lab.world import World
from mailmig.model.directory import Kind


@pytest.fixture(name="world")
def _world() -> World:
    return World(founding.found(story.read("town"), 20))


def people(world: World) -> tuple[Mailbox, Mailbox]:
    staff = [one for one in world.organisation.present(Kind.USER) if one.last_logon is not None]
    return staff[0], staff[1]


def inbox(world: World, mailbox: Mailbox) -> list[Message]:
    """What was delivered, the newest first."""
    return [one for one in world.contents.items(mailbox, INBOX) if one.stored]


def send(world: World, sender: Mailbox, *recipients: Mailbox | str) -> None:
    known = [(one, None) if isinstance(one, str) else (one.address, one) for one in recipients]
    addresses = [address for address, _ in known]
    message = world.delivering.written(sender.address, addresses, "probe", "text")
    server = world.organisation.databases[sender.database].server
    world.delivering.send(message, known, server)


def node(world: World, name: str) -> str:
    """A database that is active on a server."""
    return next(one.name for one in world.organisation.databases.values() if one.server == name)


def test_every_hop_is_in_the_headers_the_newest_first(world: World) -> None:
    anna, bert = people(world)
    send(world, anna, bert)
    (near,) = inbox(world, bert)
    assert len(near.headers) == 1
    bert.database = node(world, "LS-EX2")
    send(world, anna, bert)
    far = inbox(world, bert)[0]
    hops = [text for name, text in far.headers if name == "Received"]
    assert len(hops) == 2
    assert "by ls-ex2." in hops[0] and "from ls-ex16." in hops[0]
    assert "by ls-ex16." in hops[1]


def test_two_messages_have_two_ids(world: World) -> None:
    anna, bert = people(world)
    send(world, anna, bert)
    send(world, anna, bert)
    assert len({one.message_id for one in inbox(world, bert)}) == 2


def test_one_recipient_waits_while_the_other_has_it(world: World) -> None:
    anna, bert = people(world)
    bert.database = node(world, "LS-EX2")
    services.stop(world, "LS-EX2", services.DELIVERY)
    send(world, anna, bert, anna)
    assert (len(inbox(world, anna)), len(inbox(world, bert))) == (1, 0)
    assert world.delivering.waiting == 1
    services.start(world, "LS-EX2", services.DELIVERY)
    world.advance(timedelta(seconds=2))
    assert (len(inbox(world, anna)), len(inbox(world, bert))) == (1, 1)
    assert world.delivering.waiting == 0
    assert inbox(world, bert)[0].received > inbox(world, bert)[0].sent


def test_nothing_leaves_a_server_whose_transport_is_stopped(world: World) -> None:
    anna, bert = people(world)
    bert.database = node(world, "LS-EX1")
    services.stop(world, "LS-EX16", services.TRANSPORT)
    send(world, anna, bert)
    assert not inbox(world, bert)
    services.start(world, "LS-EX16", services.TRANSPORT)
    world.advance(timedelta(minutes=2))
    assert len(inbox(world, bert)) == 1


def test_another_member_of_the_dag_takes_what_the_own_server_cannot(world: World) -> None:
    anna, bert = people(world)
    anna.database, bert.database = node(world, "LS-EX1"), node(world, "LS-EX2")
    services.stop(world, "LS-EX1", services.TRANSPORT)
    send(world, anna, bert)
    assert len(inbox(world, bert)) == 1


def test_a_dismounted_database_takes_no_mail(world: World) -> None:
    anna, bert = people(world)
    bert.database = node(world, "LS-EX2")
    database = world.organisation.databases[bert.database]
    world.organisation.dismount(database)
    send(world, anna, bert)
    assert not inbox(world, bert)
    world.organisation.mount(database)
    world.advance(timedelta(seconds=2))
    assert len(inbox(world, bert)) == 1


def test_a_report_about_a_full_senders_mailbox_is_not_reported_again(world: World) -> None:
    anna, bert = people(world)
    for one in (anna, bert):
        limit = world.organisation.effective(one).receive
        assert isinstance(limit, int)
        one.used = limit
    send(world, anna, bert, "nobody@lindenstadt.example")
    assert world.delivering.waiting == 0
    assert not inbox(world, anna)
    assert not inbox(world, bert)


def test_who_is_outside_is_told_nothing_and_mail_for_outside_leaves(world: World) -> None:
    anna, _ = people(world)
    stranger = world.delivering.written("x@other.example", ["nobody@lindenstadt.example"], "s", "")
    world.delivering.send(stranger, [("nobody@lindenstadt.example", None)], "LS-EX16")
    assert world.delivering.waiting == 0
    send(world, anna, "y@other.example")
    assert [address for address, _ in world.delivering.outward] == ["y@other.example"]

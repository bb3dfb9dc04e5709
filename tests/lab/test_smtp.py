"""The lab's mail servers, as the standard library's client and bare sockets meet them."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from smtplib import SMTP, SMTPRecipientsRefused, SMTPResponseException
from typing import Any

import pytest
import pytest_asyncio

from mailmig.lab import connectors, services
from mailmig.lab.faults.transport import SLOWER_S
from mailmig.lab.organisation import guid
from mailmig.lab.smtp import MailServer
from mailmig.lab.smtp_visits import LARGEST, MOST_RECIPIENTS, narrowest
from tests.lab.asking import Shell
from tests.lab.mail_servers import HOST, OUTSIDER, M, MailTown, P, letter, mail_town, password

PATIENCE_S = 10
SUBJECT = "probe 4711"


@pytest_asyncio.fixture(name="town")
async def _town() -> AsyncIterator[MailTown]:
    before = asyncio.all_tasks()
    async with mail_town() as town:
        yield town
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert not left - {asyncio.current_task()}


def client(town: MailTown, port: int = 25) -> SMTP:
    return SMTP(HOST, town.node.port(port), local_hostname="probe", timeout=PATIENCE_S)


def bring(town: MailTown, to: str, sender: str = OUTSIDER, subject: str = SUBJECT) -> str:
    """Sends a message to port 25; "" when it was taken, else what the server said."""
    try:
        with client(town) as one:
            one.sendmail(sender, [to], letter(subject))
    except SMTPRecipientsRefused as error:
        ((code, said),) = error.recipients.values()
        return f"{code} {said.decode()}"
    except SMTPResponseException as error:
        text = error.smtp_error
        return f"{error.smtp_code} {text.decode() if isinstance(text, bytes) else text}"
    return ""


async def in_thread(work: Callable[..., Any], *words: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(work, *words), 3 * PATIENCE_S)


async def test_a_node_says_who_it_is_and_what_it_can(town: MailTown) -> None:
    def work() -> None:
        with socket.create_connection((HOST, town.node.port(25)), PATIENCE_S) as bare:
            said = bare.recv(1000).decode()
        assert said.startswith(f"220 {town.name} Microsoft ESMTP MAIL Service ready at ")
        with client(town) as one:
            one.ehlo()
            assert one.esmtp_features["size"] == str(LARGEST)
            assert one.has_extn("starttls") and one.esmtp_features["auth"].split() == ["NTLM"]
            one.starttls(context=ssl._create_unverified_context())
            one.ehlo()
            assert not one.has_extn("starttls")
            assert one.esmtp_features["auth"].split() == ["NTLM", "LOGIN"]

    await in_thread(work)


async def test_its_certificate_is_for_its_name(town: MailTown) -> None:
    context = ssl.create_default_context(cadata=town.authority.pem.decode())

    def work(name: str) -> None:
        with client(town) as one:
            one._host = name  # type: ignore[attr-defined]  # smtplib has no other way
            one.starttls(context=context)

    await in_thread(work, town.name)
    with pytest.raises(ssl.SSLCertVerificationError):
        await in_thread(work, "other.example")


async def test_what_was_sent_lies_in_the_inbox(town: MailTown) -> None:
    anna = town.staff[0]
    used, items = anna.used, anna.items
    assert await in_thread(bring, town, anna.address) == ""
    (found,) = town.inbox(anna, SUBJECT)
    assert (found.sender, found.body, found.read) == (OUTSIDER, "Guten Tag\r\n", False)
    assert found.received == town.world.organisation.now
    assert anna.used - used == found.size > len(letter(SUBJECT)) and anna.items == items + 1
    first = [text for name, text in found.headers if name == "Received"][-1]
    assert first.startswith(f"from probe ({HOST}) by {town.name} with Microsoft SMTP Server")
    town.world.contents.take(anna, found)
    assert (anna.used, anna.items) == (used, items)


@pytest.mark.parametrize("server", ["node", "gateway"])
async def test_whoever_is_named_twice_gets_one_message(town: MailTown, server: str) -> None:
    anna = town.staff[0]
    other = town.world.organisation.mail_domains[-1]
    port = (town.node if server == "node" else town.gateway).port(25)

    def work() -> None:
        with SMTP(HOST, port, local_hostname="probe", timeout=PATIENCE_S) as one:
            one.sendmail(OUTSIDER, [anna.address, anna.address.upper()], letter(SUBJECT))
            one.sendmail(OUTSIDER, [f"{anna.alias}@{other}"], letter("second name"))

    await in_thread(work)
    assert len(town.inbox(anna, SUBJECT)) == len(town.inbox(anna, "second name")) == 1


async def test_relaying_and_unknown_addresses_are_refused(town: MailTown) -> None:
    domain = town.world.organisation.mail_domains[0]
    assert (await in_thread(bring, town, "x@other.example")).startswith("550 5.7.54 ")
    assert (await in_thread(bring, town, f"nobody@{domain}")).startswith("550 5.1.10 ")
    assert not town.world.delivering.outward


async def test_a_relay_connector_serves_the_addresses_that_it_names(town: MailTown) -> None:
    own = next(
        one for one in connectors.receive(town.world.organisation)
        if (one.server, one.name) == (M, connectors.RELAY)
    )  # fmt: skip
    key = guid(town.world.organisation.seed, *connectors.receive_names(own))
    now = town.world.organisation.now
    town.world.organisation.settings.change(key, {"RemoteIPRanges": ["127.0.0.0/30"]}, now)
    assert await in_thread(bring, town, "x@other.example") == ""
    ((address, message),) = town.world.delivering.outward
    assert (address, message.subject) == ("x@other.example", SUBJECT)
    town.world.organisation.settings.change(key, {"RemoteIPRanges": ["127.0.0.2-127.0.0.9"]}, now)
    assert (await in_thread(bring, town, "x@other.example")).startswith("550 5.7.54 ")


async def test_without_a_connector_for_the_client_nobody_is_served(town: MailTown) -> None:
    name = f"Default Frontend {M}"
    Shell(town.world, M).objects("Remove-ReceiveConnector", Identity=rf"{M}\{name}", Confirm=False)
    assert (await in_thread(bring, town, town.staff[0].address)).startswith("421 4.3.2 ")


async def test_a_disabled_connector_serves_nobody(town: MailTown) -> None:
    Shell(town.world, M).objects(
        "Set-ReceiveConnector", Identity=rf"{M}\Default Frontend {M}", Enabled=False
    )
    assert (await in_thread(bring, town, town.staff[0].address)).startswith("421 4.3.2 ")


async def test_a_connector_with_plain_basic_takes_passwords_without_tls(town: MailTown) -> None:
    Shell(town.world, M).objects(
        "Set-ReceiveConnector",
        Identity=rf"{M}\Client Frontend {M}",
        AuthMechanism="BasicAuth",
    )
    anna = town.staff[0]

    def work() -> None:
        with client(town, 587) as one:
            one.ehlo()
            assert one.esmtp_features["auth"].split() == ["LOGIN"]
            one.login(anna.account, password(anna))
            assert one.mail(anna.address)[0] == 250

    await in_thread(work)


async def test_what_stands_in_the_way_is_said_at_mail_from_but_a_missing_copy_at_the_end(
    town: MailTown,
) -> None:
    def mail() -> str:
        with client(town) as one:
            one.ehlo()
            code, text = one.mail(OUTSIDER)
            return f"{code} {text.decode()}"

    town.world.transport.posts[M].pressure["disk"] = "High"
    assert (await in_thread(mail)).startswith("452 4.3.1 ")
    town.world.transport.posts[M].pressure.clear()
    Shell(town.world, M).objects("Set-TransportConfig", RejectMessageOnShadowFailure=True)
    services.stop(town.world, P, services.TRANSPORT)
    assert (await in_thread(mail)).startswith("250 ")
    assert (await in_thread(bring, town, town.staff[0].address)).startswith("451 4.4.0 ")


async def test_port_587_wants_a_logon(town: MailTown) -> None:
    anna, bert = town.staff[:2]

    def work() -> None:
        with client(town, 587) as one:
            one.ehlo()
            assert one.mail(OUTSIDER)[:1] == (530,)
            assert one.mail(OUTSIDER)[1].startswith(b"5.7.57 ")
            assert one.docmd("AUTH", "LOGIN")[0] == 504  # not without TLS
            one.starttls(context=ssl._create_unverified_context())
            with pytest.raises(SMTPResponseException, match=r"5\.7\.3"):
                one.login(anna.account, "wrong")
            one.login(anna.account, password(anna))
            assert one.mail(bert.address)[1].startswith(b"5.7.60 ")
            one.sendmail(anna.address, [bert.address, "x@other.example"], letter(SUBJECT))

    await in_thread(work)
    assert len(town.inbox(bert, SUBJECT)) == 1
    assert [address for address, _ in town.world.delivering.outward] == ["x@other.example"]
    assert [one.accepted for one in town.accounts.attempts] == [False, True]


async def test_schemes_are_known_in_either_case_and_others_are_not(town: MailTown) -> None:
    def work() -> None:
        with client(town, 587) as one:
            one.ehlo()
            one.starttls(context=ssl._create_unverified_context())
            one.ehlo()
            assert one.docmd("auth", "login") == (334, b"VXNlcm5hbWU6")
            assert one.docmd("*")[0] == 501
            assert one.docmd("AUTH", "PLAIN AGEAYg==")[0] == 504
            assert one.docmd("AUTH", "NTLM") == (334, b"NTLM supported")
            assert one.docmd("bm9uc2Vuc2U=")[0] == 535
            assert one.docmd("AUTH")[0] == 501

    await in_thread(work)


async def test_in_maintenance_the_front_end_sends_everybody_away(town: MailTown) -> None:
    shell, anna = Shell(town.world, M), town.staff[0]

    def switch(component: str, state: str) -> None:
        shell.objects(
            "Set-ServerComponentState", Identity=M, Component=component, State=state,
            Requester="Maintenance",
        )  # fmt: skip

    def banner() -> str:
        with socket.create_connection((HOST, town.node.port(25)), PATIENCE_S) as bare:
            said = b"".join(iter(lambda: bare.recv(1000), b""))
        return said.decode()

    switch("ServerWideOffline", "Inactive")
    assert await in_thread(banner) == "421 4.3.2 Service not active\r\n"
    assert await in_thread(bring, town, anna.address) == "421 4.3.2 Service not active"
    switch("ServerWideOffline", "Active")
    assert await in_thread(bring, town, anna.address) == ""


async def test_a_draining_transport_service_takes_nothing_after_its_restart(town: MailTown) -> None:
    shell, anna = Shell(town.world, M), town.staff[0]
    shell.objects(
        "Set-ServerComponentState", Identity=M, Component="HubTransport", State="Draining",
        Requester="Maintenance",
    )  # fmt: skip
    assert await in_thread(bring, town, anna.address) == ""
    services.restart(town.world, M, services.TRANSPORT)
    town.world.advance(timedelta(minutes=2))
    assert await in_thread(bring, town, anna.address) == "421 4.3.2 Service not available"


async def test_pressure_and_a_stopped_transport_service_are_told_apart(town: MailTown) -> None:
    anna = town.staff[0]
    town.world.transport.posts[M].pressure["disk"] = "Medium"
    assert (await in_thread(bring, town, anna.address)).startswith("452 4.3.1 ")
    town.world.transport.posts[M].pressure.clear()
    services.stop(town.world, M, services.TRANSPORT)
    assert (await in_thread(bring, town, anna.address)).startswith("451 4.7.0 ")
    services.start(town.world, M, services.TRANSPORT)
    assert await in_thread(bring, town, anna.address) == ""


async def test_where_every_message_must_have_a_copy_a_lone_node_takes_none(town: MailTown) -> None:
    anna, shell = town.staff[0], Shell(town.world, M)
    shell.objects("Set-TransportConfig", RejectMessageOnShadowFailure=True)
    assert await in_thread(bring, town, anna.address) == ""
    services.stop(town.world, P, services.TRANSPORT)
    said = await in_thread(bring, town, anna.address)
    assert said == "451 4.4.0 Message failed to be made redundant"
    assert len(town.inbox(anna, SUBJECT)) == 1


async def test_without_its_service_a_node_refuses_connections_and_comes_back(
    town: MailTown,
) -> None:
    where = HOST, town.node.port(25)
    services.stop(town.world, M, services.FRONTEND)
    with pytest.raises(ConnectionRefusedError):
        for _ in range(100):
            await asyncio.sleep(0.05)
            (await in_thread(socket.create_connection, where, PATIENCE_S)).close()
    services.start(town.world, M, services.FRONTEND)
    for _ in range(100):
        await asyncio.sleep(0.05)
        try:
            assert await in_thread(bring, town, town.staff[0].address) == ""
            return
        except KeyError:  # not yet
            continue
    raise AssertionError("it did not come back")


async def test_a_message_waits_until_its_database_is_mounted(town: MailTown) -> None:
    anna = town.staff[0]
    database = town.world.organisation.databases[anna.database]
    database.mounted, database.kept_dismounted = False, True
    assert await in_thread(bring, town, anna.address) == ""
    assert town.inbox(anna, SUBJECT) == [] and town.world.delivering.waiting == 1
    database.mounted, database.kept_dismounted = True, False
    town.world.advance(timedelta(minutes=1))
    assert len(town.inbox(anna, SUBJECT)) == 1


async def test_a_suspended_queue_keeps_its_messages(town: MailTown) -> None:
    anna = town.staff[0]
    queues = town.world.transport.posts[M].queues.values()
    queue = next(one for one in queues if one.database == anna.database)
    queue.suspended = True
    assert await in_thread(bring, town, anna.address) == ""
    town.world.advance(timedelta(minutes=1))
    assert town.inbox(anna, SUBJECT) == []
    queue.suspended = False
    town.world.advance(timedelta(minutes=1))
    assert len(town.inbox(anna, SUBJECT)) == 1


async def test_on_a_slow_server_a_message_needs_longer(town: MailTown) -> None:
    anna = town.staff[0]
    town.world.transport.posts[M].delay_s = SLOWER_S
    sent = town.world.organisation.now
    assert await in_thread(bring, town, anna.address) == ""
    town.world.advance(timedelta(seconds=SLOWER_S - 1))
    assert town.inbox(anna, SUBJECT) == []
    town.world.advance(timedelta(seconds=2))
    (found,) = town.inbox(anna, SUBJECT)
    assert found.received - sent == timedelta(seconds=SLOWER_S + 1)


async def test_what_is_too_large_or_for_too_many_is_refused(town: MailTown) -> None:
    anna = town.staff[0]

    def work() -> None:
        with client(town) as one:
            one.ehlo()
            assert one.esmtp_features["size"] == str(LARGEST)
            assert one.mail(OUTSIDER, [f"SIZE={LARGEST + 1}"])[1].startswith(b"5.3.4 ")
            one.mail(OUTSIDER)
            for _ in range(MOST_RECIPIENTS):
                assert one.rcpt(anna.address)[0] == 250
            assert one.rcpt(anna.address)[1].startswith(b"4.5.3 ")
            one.rset()
            one.mail(OUTSIDER)
            one.rcpt(anna.address)
            assert one.data(letter(SUBJECT, ("x" * 990 + "\r\n") * (LARGEST // 990)))[1].startswith(
                b"5.3.4 "
            )

    await in_thread(work)
    assert town.inbox(anna, SUBJECT) == []


async def test_the_gateway_keeps_mail_until_a_node_takes_it(town: MailTown) -> None:
    anna = town.staff[0]

    def work() -> None:
        port = town.gateway.port(25)
        with SMTP(HOST, port, local_hostname="out", timeout=PATIENCE_S) as one:
            one.ehlo()
            assert "auth" not in one.esmtp_features and one.has_extn("starttls")
            one.sendmail("<>", [anna.address], letter(SUBJECT))
            one.mail(OUTSIDER)
            assert one.rcpt("x@other.example")[0] == 554
            assert one.rcpt(f"nobody@{anna.address.partition('@')[2]}")[0] == 550

    for name in (M, P):
        services.stop(town.world, name, services.FRONTEND)
    await in_thread(work)
    town.world.advance(timedelta(minutes=10))
    assert town.inbox(anna, SUBJECT) == [] and town.world.delivering.waiting == 1
    services.start(town.world, P, services.FRONTEND)
    town.world.advance(timedelta(minutes=1))
    (found,) = town.inbox(anna, SUBJECT)
    hops = [text.partition(" with ")[0] for name, text in found.headers if name == "Received"]
    node = town.world.organisation.server(P).fqdn
    assert hops[-2:] == [
        f"from {town.gateway_name} by {node}", f"from out ({HOST}) by {town.gateway_name}"
    ]  # fmt: skip


async def test_nonsense_and_sudden_ends_leave_the_server_well(town: MailTown) -> None:
    def work() -> None:
        for said in (
            b"EHLO x\r\nSTARTTLS\r\n" + bytes(range(256)), b"\xff\xfe\x00" * 100,
            b"EHLO x\r\nSTARTTLS\r\n", b"A" * 100_000, b"EHLO " + b"x" * 600 + b"\r\n",
            b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<"
            + town.staff[0].address.encode() + b">\r\nDATA\r\nSubject: half",
            b"MAIL\r\nRCPT\r\nDATA\r\nAUTH NTLM\r\nHELO\r\n\r\nXYZ\r\n",
        ):  # fmt: skip
            with socket.create_connection((HOST, town.node.port(25)), PATIENCE_S) as bare:
                bare.recv(1000)
                bare.sendall(said)

    await in_thread(work)
    assert await in_thread(bring, town, town.staff[0].address) == ""
    assert town.inbox(town.staff[0], "half") == []


async def test_a_client_with_a_rude_name_spoils_no_mailbox(town: MailTown) -> None:
    anna = town.staff[0]

    def work() -> None:
        with socket.create_connection((HOST, town.node.port(25)), PATIENCE_S) as bare:
            for line in (
                b"EHLO \xff\x01<&\xc3\xbc>\r\n", b"MAIL FROM:<\xff\x02@x.example>\r\n",
                f"RCPT TO:<{anna.address}>\r\n".encode(), b"DATA\r\n",
                b"Subject: probe 4711\r\n\r\n\x00\xff\r\n.\r\n", b"QUIT\r\n",
            ):  # fmt: skip
                bare.recv(1000)
                bare.sendall(line)
            while bare.recv(1000):
                continue

    await in_thread(work)
    (found,) = town.inbox(anna, SUBJECT)
    (_, hop) = found.headers[-1]
    assert hop.startswith(f"from <&ü> ({HOST}) by {town.name} ")
    assert found.sender == "@x.example"


async def test_where_a_port_is_taken_nothing_listens_on_the_other(town: MailTown) -> None:
    with socket.create_server((HOST, 0)) as taken, socket.create_server((HOST, 0)) as free:
        ports = {25: free.getsockname()[1], 587: taken.getsockname()[1]}
        free.close()
        context = town.authority.certificate(HOST).context()
        server = MailServer(town.node.host, town.accounts, context, HOST, ports)
        with pytest.raises(OSError, match="address already in use"):
            await server.__aenter__()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, ports[25]), PATIENCE_S)


async def test_a_server_that_ends_cuts_its_clients(town: MailTown) -> None:
    def connected(*lines: bytes) -> socket.socket:
        bare = socket.create_connection((HOST, town.node.port(25)), PATIENCE_S)
        for line in lines:
            bare.recv(1000)
            bare.sendall(line)
        return bare

    one = await in_thread(connected, b"EHLO x\r\n")
    two = await in_thread(connected, b"EHLO x\r\n", b"STARTTLS\r\n", b"\x16\x03")
    await asyncio.wait_for(town.node.__aexit__(None, None, None), PATIENCE_S)

    def ended(bare: socket.socket) -> bool:
        with bare:
            try:
                while bare.recv(1000):
                    continue
            except ConnectionResetError:
                pass
            return True

    assert await in_thread(ended, one) and await in_thread(ended, two)


@pytest.mark.parametrize(
    ("ranges", "address", "width"),
    [
        (("10.1.2.3",), "10.1.2.3", 0),
        (("10.1.2.3",), "10.1.2.4", None),
        (("10.0.0.0/8", "10.1.2.0-10.1.2.9"), "10.1.2.9", 9),
        (("0.0.0.0-255.255.255.255",), "127.0.0.1", 2**32 - 1),
        (("::-ffff::",), "127.0.0.1", None),
        (("nonsense", "10.1.2.9-::1"), "10.1.2.9", None),
        (("::1",), "::1", 0),
    ],
)
def test_the_narrowest_range_counts(
    ranges: tuple[str, ...], address: str, width: int | None
) -> None:
    assert narrowest(ranges, address) == width

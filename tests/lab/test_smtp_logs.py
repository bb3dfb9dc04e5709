"""What Exchange servers of the lab write about SMTP, and who gets what is sent to more than one."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from csv import DictReader
from smtplib import SMTP, SMTPRecipientsRefused, SMTPResponseException
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mailmig.lab import connectors, services
from mailmig.lab.logs import sending
from mailmig.lab.server_tls import SMTP as SMTP_SERVICE
from mailmig.lab.server_tls import Showing
from mailmig.model.windows import ClientLog, ClientUse
from mailmig.wire.client_logs import question
from tests.lab.asking import Shell, text
from tests.lab.asking_windows import facts
from tests.lab.mail_servers import HOST, OLD, OUTSIDER, M, MailTown, P, letter, mail_town, password

PATIENCE_S = 10
SUBJECT = "probe 4712"


@pytest_asyncio.fixture(name="town")
async def _town() -> AsyncIterator[MailTown]:
    async with mail_town() as town:
        yield town


def client(town: MailTown, port: int = 25) -> SMTP:
    return SMTP(HOST, town.node.port(port), local_hostname="probe,1", timeout=PATIENCE_S)


async def in_thread(work: Callable[..., Any], *words: Any, **options: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(work, *words, **options), 3 * PATIENCE_S)


def bring(town: MailTown, *to: str, gateway: bool = False) -> str:
    """Sends a message to some; "" when it was taken, else what the server said."""
    port = (town.gateway if gateway else town.node).port(25)
    try:
        with SMTP(HOST, port, local_hostname="probe", timeout=PATIENCE_S) as one:
            one.sendmail(OUTSIDER, list(to), letter(SUBJECT))
    except SMTPRecipientsRefused as error:
        return "; ".join(f"{code} {said.decode()}" for code, said in error.recipients.values())
    except SMTPResponseException as error:
        return f"{error.smtp_code}"
    return ""


def lines(
    town: MailTown, role: str = "FrontEnd", way: str = "SmtpReceive", server: str = M
) -> list[dict[str, str]]:
    """What the node wrote since the lab began."""
    found: list[dict[str, str]] = []
    for file in town.world.logs.files(server, since=town.world.organisation.now):
        if rf"\Logs\{role}\ProtocolLog\{way}" in file.path:
            heading, *rest = [one for one in file.lines if one.startswith("#F") or one[0] != "#"]
            found += DictReader(rest, heading.removeprefix("#Fields: ").split(","))
    return found


async def said(town: MailTown, event: str, role: str = "FrontEnd") -> list[str]:
    """The data of one sort of lines, as soon as the last connection has ended."""
    for _ in range(100):
        found = lines(town, role)
        sessions = {one["session-id"] for one in found}
        if len(sessions) == sum(one["event"] == "-" for one in found):
            return [one["data"] for one in found if one["event"] == event]
        await asyncio.sleep(0.05)
    raise AssertionError("a session has no end")


async def test_a_session_is_written_down_without_its_message(town: MailTown) -> None:
    anna = town.staff[0]

    def work() -> None:
        with client(town) as one:
            one.sendmail(OUTSIDER, [anna.address], letter(SUBJECT))

    await in_thread(work)
    heard = await said(town, "<")
    assert heard == [
        "EHLO probe,1", f"MAIL FROM:<{OUTSIDER}> size={len(letter(SUBJECT))}",
        f"RCPT TO:<{anna.address}>", "DATA", "QUIT",
    ]  # fmt: skip
    answers = await said(town, ">")
    assert answers[0].startswith(f"220 {town.name} Microsoft ESMTP")
    assert "250-STARTTLS" in answers and answers[-2].startswith("250 2.6.0 <")
    assert SUBJECT not in "".join(str(one) for one in lines(town))
    first, last = lines(town)[0], lines(town)[-1]
    assert (first["event"], last["event"], last["context"]) == ("+", "-", "Local")
    assert first["connector-id"] == rf"{M}\Default Frontend {M}"
    assert first["local-endpoint"] == f"{HOST}:25"
    assert first["remote-endpoint"].startswith(f"{HOST}:")
    assert [one["sequence-number"] for one in lines(town)] == [
        str(number) for number in range(len(lines(town)))
    ]


async def test_a_password_never_stands_in_a_log_but_who_logged_on_does(town: MailTown) -> None:
    anna = town.staff[0]
    Shell(town.world, M).objects(
        "Set-ReceiveConnector", Identity=rf"{M}\Client Frontend {M}",
        ProtocolLoggingLevel="Verbose", AuthMechanism="BasicAuth",
    )  # fmt: skip

    def work() -> None:
        with client(town, 587) as one:
            one.ehlo()
            one.docmd("AUTH", "LOGIN YW5uYQ==")
            one.docmd("d3Jvbmc=")
            one.login(anna.account, password(anna))

    await in_thread(work)
    heard = [one for one in await said(town, "<") if one.startswith("AUTH")]
    assert heard and all(one == "AUTH LOGIN <authentication information>" for one in heard)
    whole = str(lines(town))
    assert "d3Jvbmc" not in whole and "YW5uYQ" not in whole and password(anna) not in whole
    assert await said(town, "*") == [rf"LINDENSTADT\{anna.account}"]


async def test_a_client_that_goes_away_ends_its_session_itself(town: MailTown) -> None:
    def work() -> None:
        client(town).close()

    await in_thread(work)
    assert await said(town, "<") == []
    assert lines(town)[-1]["context"] == "Remote"


async def test_other_connectors_write_nothing_until_they_are_told(town: MailTown) -> None:
    def work() -> None:
        with client(town, 587) as one:
            one.ehlo()

    await in_thread(work)
    await in_thread(bring, town, town.staff[0].address)
    assert {one["connector-id"] for one in lines(town)} == {rf"{M}\Default Frontend {M}"}
    assert not lines(town, "Hub")
    shell = Shell(town.world, M)
    identity = rf"{M}\Default {M}"
    (one,) = shell.objects("Get-ReceiveConnector", Identity=identity)
    assert text(one, "ProtocolLoggingLevel") == "None"
    shell.objects("Set-ReceiveConnector", Identity=identity, ProtocolLoggingLevel="Verbose")
    await in_thread(bring, town, town.staff[0].address)
    assert await said(town, ">", "Hub") and {one["connector-id"] for one in lines(town, "Hub")} == {
        identity
    }


async def test_a_connector_that_writes_nothing_any_more_is_silent(town: MailTown) -> None:
    Shell(town.world, M).objects(
        "Set-ReceiveConnector", Identity=rf"{M}\Default Frontend {M}", ProtocolLoggingLevel="None"
    )
    assert await in_thread(bring, town, town.staff[0].address) == ""
    assert not lines(town)


async def test_our_script_counts_what_was_taken(town: MailTown) -> None:
    await in_thread(bring, town, town.staff[0].address)
    await in_thread(bring, town, "x@other.example")
    await said(town, "<")
    name, given = question(ClientLog.SMTP_FRONT, town.world.organisation.now)
    _, *clients = await in_thread(lambda: facts(town.world, M, name, **given))
    now = town.world.organisation.now
    assert clients == [ClientUse(None, rf"{M}\Default Frontend {M}", "probe", HOST, "", 2, 1, now)]


async def test_the_front_end_writes_down_what_it_hands_on(town: MailTown) -> None:
    anna = town.staff[0]
    await in_thread(bring, town, anna.address)
    (taken,) = [one for one in await said(town, ">") if one.startswith("250 2.6.0")]
    found = lines(town, way="SmtpSend")
    assert [one["data"] for one in found if one["event"] == ">"] == [
        f"EHLO {town.name}", f"MAIL FROM:<{OUTSIDER}>", f"RCPT TO:<{anna.address}>", "DATA", "QUIT",
    ]  # fmt: skip
    assert taken in [one["data"] for one in found if one["event"] == "<"]
    assert (found[0]["event"], found[-1]["event"]) == ("+", "-")
    assert {one["connector-id"] for one in found} == {sending.PROXY}
    assert [one["sequence-number"] for one in found] == [str(n) for n in range(len(found))]
    own = found[0]["local-endpoint"].partition(":")[0]
    assert found[0]["remote-endpoint"] == f"{own}:2525"
    assert SUBJECT not in str(found)
    assert not lines(town, "Hub", "SmtpSend")


async def test_mail_that_leaves_is_written_where_connectors_are_told_to(town: MailTown) -> None:
    delivering, gateway = town.world.delivering, town.world.layout.gateway
    anna = town.staff[0].address

    def leave() -> list[set[str]]:
        """Connectors by which mail from a node left that node, and the source server."""
        message = delivering.written(anna, ("x@other.example", "y@other.example"), SUBJECT, "")
        delivering.send(message, [(one, None) for one in message.to], M)
        return [
            {one["connector-id"] for one in lines(town, "Hub", "SmtpSend", server)}
            for server in (M, OLD)
        ]

    shell = Shell(town.world, M)
    assert leave() == [set(), set()]
    shell.objects(
        "Set-SendConnector", Identity=connectors.SEND, SourceTransportServers=[OLD],
        ProtocolLoggingLevel="Verbose",
    )  # fmt: skip
    (one,) = shell.objects("Get-SendConnector")
    assert text(one, "ProtocolLoggingLevel") == "Verbose"
    assert leave() == [set(), {connectors.SEND}]
    found = lines(town, "Hub", "SmtpSend", OLD)
    assert found[0]["remote-endpoint"] == f"{gateway.address}:25"
    assert [one["data"] for one in found if "RCPT" in one["data"]] == [
        "RCPT TO:<x@other.example>", "RCPT TO:<y@other.example>",
    ]  # fmt: skip
    level = "IntraOrgConnectorProtocolLoggingLevel"
    shell.objects("Set-TransportService", Identity=M, **{level: "Verbose"})
    (service,) = shell.objects("Get-TransportService", Identity=M)
    assert text(service, level) == "Verbose"
    assert leave() == [{sending.BETWEEN}, {connectors.SEND}]
    between = lines(town, "Hub", "SmtpSend")
    assert between[0]["remote-endpoint"].endswith(":2525")


async def test_mail_for_a_mailbox_elsewhere_is_written_between_the_servers(town: MailTown) -> None:
    organisation = town.world.organisation
    there = next(
        one for one in organisation.present() if organisation.databases[one.database].server == OLD
    )
    Shell(town.world, M).objects(
        "Set-TransportService", Identity=M, IntraOrgConnectorProtocolLoggingLevel="Verbose"
    )
    await in_thread(bring, town, there.address)
    found = [one["data"] for one in lines(town, "Hub", "SmtpSend") if one["event"] == ">"]
    assert found[2] == f"RCPT TO:<{there.address}>"
    assert not lines(town, "Hub", "SmtpSend", OLD)


async def test_our_script_reads_what_was_sent(town: MailTown) -> None:
    await in_thread(bring, town, town.staff[0].address)
    name, given = question(ClientLog.SMTP_FRONT, town.world.organisation.now)
    given = {**given, "folder": str(given["folder"]).replace("SmtpReceive", "SmtpSend")}
    read, *clients = await in_thread(lambda: facts(town.world, M, name, **given))
    assert (read.there, read.lines) == (True, len(lines(town, way="SmtpSend")))
    assert [one.protocol for one in clients] == [sending.PROXY]


def test_the_default_connector_of_each_front_end_writes_a_log_and_no_other(
    town: MailTown,
) -> None:
    receive = connectors.receive(town.world.organisation)
    on = {one.name for one in receive if connectors.is_verbose(one.logging)}
    assert on == {f"Default Frontend {one.name}" for one in town.world.organisation.servers}


@pytest.mark.parametrize("gateway", [False, True])
async def test_what_is_sent_to_a_group_comes_to_its_members_once(
    town: MailTown, gateway: bool
) -> None:
    organisation = town.world.organisation
    group = next(one for one in organisation.principals if one.is_group and len(one.members) > 2)
    address = group.address(organisation.mail_domains[0])
    shown = Shell(town.world, M).objects("Get-Recipient", Identity=group.name)
    assert address in str(shown[0]["PrimarySmtpAddress"])
    members = [organisation.mailboxes[one] for one in group.members if one >= 0]
    present = [one for one in members if not one.gone]
    assert await in_thread(bring, town, address.upper(), present[0].address, gateway=gateway) == ""
    for one in present:
        home = organisation.databases[one.database].server
        if home in organisation.dag.servers:
            assert len(town.inbox(one, SUBJECT)) == 1, one.address


@pytest.mark.parametrize("gateway", [False, True])
async def test_what_is_sent_to_a_public_folder_lies_in_it(town: MailTown, gateway: bool) -> None:
    known = town.world.public_folders
    before = next(one for one in known.all() if one.mail)
    holder = town.world.organisation.mailboxes[before.mailbox]
    used = holder.used
    assert await in_thread(bring, town, before.mail, before.mail.title(), gateway=gateway) == ""
    after = known.find(before.path)
    assert after is not None and after.items == before.items + 1
    assert after.size - before.size == holder.used - used > len(letter(SUBJECT))
    (message,) = known.received[before.path]
    assert (message.subject, message.sender) == (SUBJECT, OUTSIDER)
    (shown,) = Shell(town.world, M).objects("Get-PublicFolderStatistics", Identity=before.identity)
    assert int(str(shown["ItemCount"])) == after.items


async def test_a_folder_whose_database_is_dismounted_gets_its_mail_later(town: MailTown) -> None:
    known, organisation = town.world.public_folders, town.world.organisation
    folder = next(one for one in known.all() if one.mail)
    database = organisation.databases[organisation.mailboxes[folder.mailbox].database]
    organisation.dismount(database)
    assert await in_thread(bring, town, folder.mail) == ""
    assert folder.path not in known.received and town.world.delivering.waiting == 1
    organisation.mount(database)
    town.world.delivering.settle()
    assert len(known.received[folder.path]) == 1


async def test_the_gateway_asks_its_servers_in_turn_and_passes_over_the_dead(
    town: MailTown,
) -> None:
    anna = town.staff[0]

    async def takers(count: int) -> list[str]:
        for _ in range(count):
            assert await in_thread(bring, town, anna.address, gateway=True) == ""
        found = town.inbox(anna, SUBJECT)[:count]
        hops = [[text for name, text in one.headers if name == "Received"] for one in found]
        return [
            next(t for t in texts if "via Frontend" in t).partition(" by ")[2].split()[0].upper()
            for texts in hops
        ]

    names = [full.partition(".")[0] for full in await takers(4)]
    assert sorted(names) == [M, M, P, P]
    town.world.transport.gateway_to = (P,)
    assert {full.partition(".")[0] for full in await takers(2)} == {P}
    town.world.transport.gateway_to = (P, M)
    services.stop(town.world, P, services.FRONTEND)
    assert {full.partition(".")[0] for full in await takers(2)} == {M}
    services.stop(town.world, M, services.FRONTEND)
    assert town.world.transport.entrances() == []
    assert await in_thread(bring, town, anna.address, gateway=True) == ""
    assert town.world.delivering.waiting == 1


def shown(town: MailTown) -> str | None:
    """The thumbprint of what STARTTLS shows; None when it is not offered."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with client(town) as one:
        one.ehlo()
        if not one.has_extn("starttls"):
            assert one.docmd("STARTTLS")[0] == 454
            return None
        one.starttls(context=context)
        assert isinstance(one.sock, ssl.SSLSocket)
        der = one.sock.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).fingerprint(hashes.SHA1()).hex().upper()


async def test_starttls_shows_what_is_assigned_to_smtp(town: MailTown) -> None:
    store, server = town.world.certificates, town.world.organisation.server(M)
    served, own, auth, web_management = store.on(server)
    assert await in_thread(shown, town) == served.thumbprint
    town.world.tls.of(M, SMTP_SERVICE).show(Showing(names=("other.example",)))
    wrong = store.for_smtp(server)
    assert wrong is not None and wrong.thumbprint != served.thumbprint
    assert await in_thread(shown, town) == wrong.thumbprint
    store.assign(server, wrong.thumbprint, "IIS")
    assert await in_thread(shown, town) == own.thumbprint
    store.assign(server, own.thumbprint, "None")
    assert {auth.services, web_management.services} == {"SMTP", "None"}
    assert await in_thread(shown, town) is None


async def test_enabling_a_certificate_for_smtp_brings_starttls_back(town: MailTown) -> None:
    store, server = town.world.certificates, town.world.organisation.server(M)
    for one in store.on(server):
        store.assign(server, one.thumbprint, "None")
    shell = Shell(town.world, P)
    assert await in_thread(shown, town) is None
    own = store.on(server)[1]
    words = {"Server": M, "Thumbprint": own.thumbprint}
    shell.objects("Enable-ExchangeCertificate", **words, Services="SMTP", WhatIf=True)
    assert await in_thread(shown, town) is None
    shell.objects("Enable-ExchangeCertificate", **words, Services="SMTP", Force=True)
    assert await in_thread(shown, town) == own.thumbprint
    assert (
        "does not simulate"
        in shell.error("Enable-ExchangeCertificate", **words, Services="IIS").message
    )
    missing = {"Server": M, "Thumbprint": "AB" * 20}
    assert (
        "not found" in shell.error("Enable-ExchangeCertificate", **missing, Services="SMTP").message
    )

"""`run.doctor` in a lab: what is found, and that no account is ever locked by looking."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from mailmig import config
from mailmig.cli.frame import SECTIONS
from mailmig.lab import story
from mailmig.lab.certificates import Authority
from mailmig.lab.running.whole import Lab
from mailmig.model.addresses import AddressSettings
from mailmig.model.command import Command
from mailmig.model.errors import BadFile, MailmigError
from mailmig.model.logon import LogonUnsettled, RefusedBefore
from mailmig.model.secret import Secret
from mailmig.run import doctor_needs
from mailmig.run.answers import ASKED
from mailmig.run.doctor import Channel, Diagnosis, Look, NothingToExamine, Setup, examine
from mailmig.run.doctor_cmdlets import Answer
from mailmig.run.doctor_needs import Verdict, abilities
from mailmig.sources.directory import Directory, DirectorySettings
from mailmig.sources.directory_errors import DirectoryUnreachable, WrongPassword
from mailmig.sources.exchange import Exchange, ExchangeSettings
from mailmig.sources.export_rights import RIGHTS
from mailmig.sources.names import NamesSettings
from mailmig.sources.remote_errors import LoginRefused, TlsNotTrusted, Unreachable
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.remote_reach import reach, trusting
from mailmig.sources.remote_settings import Scheme
from mailmig.sources.windows import WindowsSettings
from mailmig.store.logons import Logons
from mailmig.wire.collection import EXPORTS
from tests.lab.running_lab import free_offset

EX1, DC1, DC2 = (f"ls-{name}.ad.lindenstadt.example" for name in ("ex1", "dc1", "dc2"))
NEEDS = doctor_needs.read()
WRONG = Secret("falsch")


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    lab = Lab(
        story.read("town"), tmp_path / "lab", mailboxes=20, speed=1000, offset=free_offset()
    )  # fmt: skip
    async with asyncio.timeout(120), lab:
        yield lab


def setup(lab: Lab, state: Path | None = None, **more: Any) -> Setup:
    """As the command line makes it; `state` is where refused passwords are remembered."""
    read = config.load(lab.settings, SECTIONS)
    made = Setup(
        read.section("names", NamesSettings), read.section("directory", DirectorySettings),
        read.section("exchange", ExchangeSettings), read.section("windows", WindowsSettings),
        read.section("addresses", AddressSettings).map,
        LogonGate(Logons(state or lab.folder / "state")), timeout_s=10.0,
    )  # fmt: skip
    return replace(made, **more)


def wrong(made: Setup) -> Setup:
    """The same with a wrong password everywhere."""
    assert made.exchange and made.windows
    return replace(
        made, directory=made.directory and replace(made.directory, password=WRONG),
        exchange=replace(made.exchange, password=WRONG),
        windows=replace(made.windows, password=WRONG),
    )  # fmt: skip


def verdicts(diagnosis: Diagnosis) -> dict[str, Verdict]:
    return {one.command: one.verdict for one in abilities(diagnosis, NEEDS)}


def shown(lab: Lab) -> list[bool]:
    return [attempt.accepted for attempt in lab.accounts.attempts]


@asynccontextmanager
async def silence(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, int]]:
    """Somebody who takes connections, greets over TLS if told so, and says nothing."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()


async def test_where_all_is_well_everything_is_good(lab: Lab) -> None:
    diagnosis = await examine(setup(lab))
    assert [look for look in diagnosis.looks if not look.is_good] == []
    seen = {channel: len(diagnosis.of(channel)) for channel in Channel}
    assert seen == {
        Channel.DIRECTORY: 2, Channel.EXCHANGE: 3, Channel.WINDOWS: 4, Channel.NAMES: 2,
    }  # fmt: skip
    assert set(verdicts(diagnosis).values()) == {Verdict.YES}
    assert False not in shown(lab)
    asked = next(look for look in diagnosis.of(Channel.EXCHANGE) if look.server == EX1)
    assert diagnosis.asked == EX1 and set(asked.answers) == {export.name for export in EXPORTS}


async def test_a_wrong_password_is_shown_once_to_one_controller_over_many_runs(lab: Lab) -> None:
    diagnosis = await examine(wrong(setup(lab)))
    refused = [look for look in diagnosis.looks if look.logged_on is False]
    assert [(look.server, type(look.trouble)) for look in refused] == [(DC1, WrongPassword)]
    others = [
        look
        for look in diagnosis.looks
        if look.channel is not Channel.NAMES and look not in refused
    ]
    assert all(look.reached and "not tried" in look.untried for look in others) and others
    assert set(verdicts(diagnosis).values()) == {Verdict.NO}
    for _ in range(4):
        again = await examine(wrong(setup(lab)))
        assert isinstance(again.looks[0].trouble, RefusedBefore)
    assert shown(lab) == [False]
    assert verdicts(await examine(setup(lab)))["collect --live"] is Verdict.YES


async def test_without_ldap_the_first_channel_goes_alone(lab: Lab) -> None:
    for _ in range(3):
        diagnosis = await examine(wrong(setup(lab, directory=None)))
        assert sum(look.logged_on is False for look in diagnosis.looks) == 1
    assert shown(lab) == [False]


async def test_another_account_goes_alone_too(lab: Lab) -> None:
    made = setup(lab)
    assert made.exchange and made.windows
    reader = "LINDENSTADT\\svc-reader"
    made = replace(
        made, exchange=replace(made.exchange, account=reader, password=WRONG),
        windows=replace(made.windows, account=reader, password=WRONG),
    )  # fmt: skip
    diagnosis = await examine(made)
    assert lab.accounts.wrong("svc-reader") == 1 and lab.accounts.wrong("svc-mailmig") == 0
    assert all(look.logged_on for look in diagnosis.of(Channel.DIRECTORY))
    asked = (*diagnosis.of(Channel.EXCHANGE), *diagnosis.of(Channel.WINDOWS))
    assert sum(isinstance(look.trouble, LoginRefused) for look in asked) == 1


async def test_two_that_begin_together_show_a_wrong_password_once(lab: Lab) -> None:
    both = await asyncio.gather(examine(wrong(setup(lab))), examine(wrong(setup(lab))))
    assert shown(lab) == [False]
    kinds = {type(one.looks[0].trouble) for one in both}
    assert kinds == {WrongPassword, RefusedBefore}


async def test_cmdlets_and_parameters_that_the_role_lacks_are_named(lab: Lab) -> None:
    for target in ("Get-MailboxPermission", "Get-Mailbox/Arbitration", "Get-ClientAccessService"):
        lab.faults.on("role-lacks", f"svc-mailmig:{target}")
    diagnosis = await examine(setup(lab))
    able = {one.command: one for one in abilities(diagnosis, NEEDS)}
    collect = able["collect --live"]
    assert collect.verdict is Verdict.IN_PART
    lacking = {text.partition(":")[0] for text in collect.why}
    assert lacking == {"lacks Get-MailboxPermission", "lacks Get-Mailbox -Arbitration"}
    assert "View-Only Organization Management" in collect.ask_for[0]
    taking = able["inventory take"]  # all or nothing, and the rights are cross-checked
    assert taking.verdict is Verdict.NO and len(taking.why) == 1
    assert taking.why[0].startswith("lacks Get-MailboxPermission:")
    assert able["inventory take --sample 0"].verdict is Verdict.YES
    assert able["inventory take --ldap-only"].verdict is Verdict.YES


async def test_an_account_without_any_role_is_told_what_to_ask_for(lab: Lab) -> None:
    account = lab.accounts_for["admin"]
    lab.accounts.add(replace(account, roles=frozenset()))
    able = {one.command: one for one in abilities(await examine(setup(lab)), NEEDS)}
    assert able["collect --live"].verdict is Verdict.NO
    assert any("Get-Mailbox:" in why for why in able["collect --live"].why)
    assert able["collect --live"].ask_for == (NEEDS.grants[0][0],)


async def test_a_controller_that_says_nothing_is_passed_over(lab: Lab) -> None:
    async with silence() as nobody:
        made = setup(lab, timeout_s=6.0)
        addresses = {**made.addresses, (DC1, 636): nobody}
        began = time.monotonic()
        diagnosis = await examine(replace(made, addresses=addresses))
    assert time.monotonic() - began < 60
    first, second = diagnosis.of(Channel.DIRECTORY)
    assert (first.server, first.reached, type(first.trouble)) == (DC1, False, Unreachable)
    assert second.logged_on and verdicts(diagnosis)["inventory take --ldap-only"] is Verdict.YES


async def test_a_logon_without_an_answer_counts_as_wrong_until_somebody_says_otherwise(
    lab: Lab,
) -> None:
    """The controller has seen the password: whether it was a wrong one nobody knows."""
    async with silence(lab.authority.certificate(DC1).context()) as nobody:
        made = setup(lab)
        assert made.directory
        made = replace(
            made, addresses={**made.addresses, (DC1, 636): nobody},
            directory=replace(made.directory, timeout_s=2.0),
        )  # fmt: skip
        first, second = (await examine(made)).looks[:2]
        assert isinstance(first.trouble, DirectoryUnreachable)
        assert isinstance(second.trouble, LogonUnsettled) and "dc1" in str(second.trouble)
        assert shown(lab) == []
        assert made.directory
        again = replace(
            made, gate=LogonGate(Logons(lab.folder / "state", retry=True)),
            directory=replace(made.directory, servers=made.directory.servers[1:]),
        )  # fmt: skip
        diagnosis = await examine(again)
    looks = {look.server: look.logged_on for look in diagnosis.of(Channel.DIRECTORY)}
    assert list(looks.values()) == [True, None]  # dc1 hangs as before
    assert verdicts(diagnosis)["collect --live"] is Verdict.YES


@pytest.mark.parametrize("greets", [False, True])
async def test_an_exchange_server_that_says_nothing_holds_up_nobody(lab: Lab, greets: bool) -> None:
    tls = lab.authority.certificate(EX1).context() if greets else None
    began = time.monotonic()
    async with silence(tls) as nobody:
        made = setup(lab, timeout_s=8.0)
        addresses = {**made.addresses, (EX1, 443): nobody}
        diagnosis = await examine(replace(made, addresses=addresses))
    assert time.monotonic() - began < 60
    looks = {look.server: look for look in diagnosis.of(Channel.EXCHANGE)}
    assert looks[EX1].trouble is not None and looks[EX1].logged_on is None
    assert [look.is_good for look in looks.values()].count(True) == 2
    assert verdicts(diagnosis)["collect --live"] is Verdict.NO  # it asks this one
    live = next(one for one in abilities(diagnosis, NEEDS) if one.command == "collect --live")
    assert any("ls-ex2" in text and "--server" in text for text in live.why)


async def test_an_unknown_authority_is_named_and_no_password_is_shown(
    lab: Lab, tmp_path: Path
) -> None:
    other = Authority().write(tmp_path / "other.pem")
    made = setup(lab)
    assert made.directory and made.exchange and made.windows
    diagnosis = await examine(
        replace(
            made, directory=replace(made.directory, ca_file=other),
            exchange=replace(made.exchange, ca_file=other),
            windows=replace(made.windows, ca_file=other),
        )
    )  # fmt: skip
    asked = [look for look in diagnosis.looks if look.channel is not Channel.NAMES]
    assert all(look.trusted is False for look in asked)
    assert all(isinstance(look.trouble, TlsNotTrusted) for look in asked)
    assert "ca_file" in str(asked[0].trouble)
    assert shown(lab) == []


@pytest.mark.parametrize(
    ("name", "days", "words"), [(EX1, -1, "expired"), ("other.example", 10, "Hostname mismatch")]
)
async def test_a_certificate_says_why_it_is_not_trusted(
    tmp_path: Path, name: str, days: int, words: str
) -> None:
    authority = Authority()
    now = datetime.now(UTC)
    certificate = authority.certificate(
        name, since=now - timedelta(days=30), until=now + timedelta(days=days)
    )
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context()
    )
    context = trusting(authority.write(tmp_path / "ca.pem"), https=True)
    async with server:
        there = {(EX1, 443): server.sockets[0].getsockname()}
        with pytest.raises(TlsNotTrusted, match=words):
            await reach(EX1, 443, there, context, 5.0)
    with pytest.raises(Unreachable, match="connection refused"):
        await reach(EX1, 443, there, context, 5.0)


@pytest.mark.parametrize("first", ["LDAP", "Basic", "NTLM"])
async def test_what_one_channel_learned_the_others_know(lab: Lab, first: str) -> None:
    """Each time as another process would: only the file is shared."""
    account = "svc-mailmig@ad.lindenstadt.example"

    def fresh(scheme: Scheme = Scheme.BASIC) -> Setup:
        made = wrong(setup(lab))
        assert made.exchange
        return replace(made, exchange=replace(made.exchange, account=account, scheme=scheme))

    async def log_on(channel: str) -> MailmigError:
        made = fresh(Scheme.NTLM if channel == "NTLM" else Scheme.BASIC)
        assert made.directory
        with pytest.raises(MailmigError) as raised:
            if channel == "LDAP":
                await Directory(DC1, made.directory, made.addresses, made.gate).open()
            else:
                async with Exchange(EX1, made.exchange, made.addresses, made.gate) as exchange:
                    await exchange.send(Command("Get-ExchangeServer"))
        return raised.value

    assert isinstance(await log_on(first), WrongPassword | LoginRefused)
    for channel in ("NTLM", "Basic", "LDAP", first):
        assert isinstance(await log_on(channel), RefusedBefore)
    assert shown(lab) == [False]


async def test_a_password_that_is_changed_amid_a_run_is_remembered_as_wrong(lab: Lab) -> None:
    made = setup(lab)
    async with Exchange(EX1, made.exchange, made.addresses, made.gate) as exchange:
        assert await exchange.send(Command("Get-ExchangeServer"))
        lab.accounts.add(replace(lab.accounts_for["admin"], password=Secret("neu")))
        with pytest.raises(LoginRefused):
            await exchange.send(Command("Get-ExchangeServer"))
        for _ in range(3):
            with pytest.raises(LoginRefused):
                await exchange.send(Command("Get-ExchangeServer"))
    assert lab.accounts.wrong("svc-mailmig") == 1
    diagnosis = await examine(setup(lab))
    assert isinstance(diagnosis.looks[0].trouble, RefusedBefore)
    assert lab.accounts.wrong("svc-mailmig") == 1


async def test_nobody_to_ask_is_said(lab: Lab) -> None:
    with pytest.raises(NothingToExamine, match="config init"):
        await examine(setup(lab, directory=None, exchange=None))
    made = setup(lab)
    assert made.exchange
    with pytest.raises(NothingToExamine):
        await examine(replace(made, directory=None, exchange=replace(made.exchange, server="")))


# What commands need ----------------------------------------------------------------------------


def seen(version: str = "SE", **lacks: str) -> Diagnosis:
    """A look at one server whose session lacks something; "?" is not known."""
    answers = {
        export.name: Answer(
            export.cmdlet, unknown="it hung" if lacks.get(export.name) == "?" else "",
            lacks="" if lacks.get(export.name) == "?" else lacks.get(export.name, ""),
        )
        for export in EXPORTS
    }  # fmt: skip
    rights = {"configuration": "", "mailboxes": "", "rights": ""}
    return Diagnosis(
        (
            Look(Channel.DIRECTORY, DC1, 636, True, True, True, rights=rights),
            Look(Channel.EXCHANGE, EX1, 443, True, True, True, version=version, answers=answers),
        ),
        EX1,
    )


def test_the_table_names_what_an_inventory_asks_for() -> None:
    needs = {one.command: {export.name for export in one.exports} for one in NEEDS.commands}
    asked = {export.name for export in ASKED} | {"public_folder_mailboxes"}
    assert needs["inventory take --sample 0"] == asked
    assert needs["inventory take"] == asked | set(RIGHTS)
    assert needs["collect --live"] == {export.name for export in EXPORTS}


def test_what_is_essential_decides_between_no_and_in_part() -> None:
    assert verdicts(seen())["collect --live"] is Verdict.YES
    assert verdicts(seen(mailboxes="Get-Mailbox"))["collect --live"] is Verdict.NO
    assert verdicts(seen(send_as="Get-ADPermission"))["collect --live"] is Verdict.IN_PART
    assert verdicts(seen(mailboxes="?"))["collect --live"] is Verdict.UNKNOWN
    assert verdicts(seen(send_as="?"))["collect --live"] is Verdict.IN_PART


def test_what_a_version_does_not_have_is_no_lack_of_a_role() -> None:
    lacking = {"audit_log_mailboxes": "Get-Mailbox -AuditLog"}
    assert verdicts(seen("2013", **lacking))["collect --live"] is Verdict.YES
    assert verdicts(seen("2016", **lacking))["collect --live"] is Verdict.IN_PART


def test_the_least_that_brings_all_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "needs.toml"
    file.write_text(
        '[[command]]\nname = "x"\nexports = ["send_as", "mailboxes"]\n'
        '[[grant]]\nask = "little"\ncmdlets = ["get-mailbox"]\n'
        '[[grant]]\nask = "more"\ncmdlets = ["Get-*"]\n'
    )
    needs = doctor_needs.read(file)
    (one,) = abilities(seen(mailboxes="Get-Mailbox"), needs)
    assert one.ask_for == ("little",)
    (one,) = abilities(seen(mailboxes="Get-Mailbox", send_as="Get-ADPermission"), needs)
    assert one.ask_for == ("more",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[command]", "is no TOML"),
        ('[[command]]\nname = "x"\nexports = ["mailboxs"]', 'did you mean "mailboxes"'),
        ('[[command]]\nname = "x"\ndirectory = ["all"]', "is none of configuration"),
        ('[[command]]\nname = "x"\nessentials = []', 'did you mean "essential"'),
        ("[[command]]\nexports = []", "shape of needs.toml"),
        ('[[grant]]\nask = "x"', "shape of needs.toml"),
        ("command = 3", "shape of needs.toml"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "needs.toml"
    file.write_text(text)
    with pytest.raises(BadFile, match=words):
        doctor_needs.read(file)
    with pytest.raises(BadFile, match="cannot be read"):
        doctor_needs.read(tmp_path / "nowhere.toml")

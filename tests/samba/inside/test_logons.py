"""Logging on at Samba: passwords, tickets, and what goes wrong with either, once each."""

import asyncio
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import spnego

from mailmig.model.errors import MailmigError
from mailmig.model.secret import Secret
from mailmig.sources import kerberos
from mailmig.sources.directory import Directory
from mailmig.sources.directory_errors import (
    AccountLocked,
    LogonRefused,
    WrongPassword,
)
from mailmig.sources.directory_settings import Encryption, Logon
from mailmig.sources.kerberos_errors import KdcUnreachable, NoTicket, TicketExpired, UnknownService
from mailmig.sources.remote_logon import LogonGate
from tests.lab.strangers import needs
from tests.lab.town_directory import ldap3
from tests.samba.controller import ADDRESS, ADMIN, ADMIN_PASSWORD, LOCK_AFTER
from tests.samba.domain import Login
from tests.samba.inside.conftest import LOCKED, READER, UNLUCKY, Town

PROTECTIONS = [Encryption.LDAPS, Encryption.STARTTLS, Encryption.NONE]
KERBEROS: dict[str, Any] = {"logon": Logon.KERBEROS}
TICKET: dict[str, Any] = {**KERBEROS, "account": "", "password": None}


def kinit(town: Town, place: Path, *options: str) -> None:
    """As somebody at a terminal; what runs afterwards finds the ticket."""
    os.environ["KRB5CCNAME"] = f"FILE:{place}"  # the fixture puts it back
    subprocess.run(
        [needs("kinit"), *options, f"{READER.name}@{town.controller.realm}"],
        input=READER.password.reveal() + "\n", text=True, check=True, capture_output=True,
        timeout=30,
    )  # fmt: skip


async def wrong_attempts(town: Town, login: Login) -> int:
    """How often the domain was shown a wrong password of this account."""
    admin: dict[str, Any] = {
        "account": f"{ADMIN}@{town.organisation.domain}",
        "password": ADMIN_PASSWORD,
    }
    async with town.directory(**admin) as asked:
        raw = await asked._connection.one(
            f"CN={login.name},CN=Users,{town.forest.base}", ["badPwdCount"]
        )
    assert raw is not None
    return int((raw.get("badPwdCount") or [b"0"])[0])


def wrong_clock(folder: Path, ahead_s: int) -> Path:
    """A library that tells a program a time that is wrong by so much."""
    code, library = folder / "clock.c", folder / "clock.so"
    code.write_text(
        """
        #define _GNU_SOURCE
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <time.h>
        #include <unistd.h>
        int gettimeofday(struct timeval *tv, void *tz) {
            struct timespec ts;
            syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
            tv->tv_sec = ts.tv_sec + AHEAD; tv->tv_usec = ts.tv_nsec / 1000;
            return 0;
        }
        time_t time(time_t *out) {
            struct timespec ts;
            syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
            if (out) *out = ts.tv_sec + AHEAD;
            return ts.tv_sec + AHEAD;
        }
        """,
        "ascii",
    )
    subprocess.run(
        [needs("gcc"), "-shared", "-fPIC", f"-DAHEAD={ahead_s}", "-o", str(library), str(code)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return library


async def fails(directory: Directory, kind: type[MailmigError]) -> MailmigError:
    async with asyncio.timeout(60):
        with pytest.raises(kind) as caught:
            await directory.open()
    return caught.value


@pytest.mark.parametrize("encryption", PROTECTIONS)
async def test_a_password_becomes_a_ticket_in_memory(
    encryption: Encryption, town: Town, tmp_path: Path
) -> None:
    os.environ["KRB5CCNAME"] = f"FILE:{tmp_path / 'tickets'}"
    async with town.directory(encryption=encryption, **KERBEROS) as asked:
        assert len(await asked.mailboxes()) > 200
        assert len(await asked.groups()) > 10
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encryption", PROTECTIONS)
async def test_the_ticket_of_whoever_runs_it_is_enough(
    encryption: Encryption, town: Town, tmp_path: Path
) -> None:
    kinit(town, tmp_path / "tickets")
    async with town.directory(encryption=encryption, **TICKET) as asked:
        assert len(await asked.databases()) > 4


async def test_one_ticket_serves_all_and_is_replaced_before_it_ends(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = f"{READER.name}@{town.organisation.domain.upper()}"

    def place() -> str:
        found = kerberos.log_on(account, READER.password, LogonGate(), "logging on")
        assert isinstance(found, spnego.KerberosCCache)
        return found.ccache

    first = await asyncio.to_thread(place)
    assert await asyncio.to_thread(place) == first
    monkeypatch.setattr(kerberos, "_NEARLY_OVER_S", 10**6)
    assert await asyncio.to_thread(place) != first


async def test_an_account_of_the_short_kind_logs_on_too(town: Town) -> None:
    account = f"{town.organisation.netbios}\\{READER.name}"
    async with town.directory(account=account, **KERBEROS) as asked:
        assert len(await asked.servers()) == 3


async def test_an_ordinary_reader_sees_all_rights(town: Town) -> None:
    async with town.directory() as asked:
        theirs = set(await asked.edges())
    admin: dict[str, Any] = {
        "account": f"{ADMIN}@{town.organisation.domain}",
        "password": ADMIN_PASSWORD,
    }
    async with town.directory(**admin) as asked:
        assert theirs == set(await asked.edges()) != set()


async def test_without_a_ticket_kinit_is_named(town: Town) -> None:
    error = await fails(town.directory(**TICKET), NoTicket)
    assert "run kinit first" in str(error)


async def test_a_wrong_password_is_shown_to_the_domain_once(town: Town) -> None:
    gate = LogonGate()
    wrong: dict[str, Any] = {
        "account": f"{UNLUCKY.name}@{town.organisation.domain}",
        "password": Secret("falsch"),
    }
    before = await wrong_attempts(town, UNLUCKY)
    await fails(town.directory(gate, **wrong, **KERBEROS), WrongPassword)
    assert await wrong_attempts(town, UNLUCKY) == before + 1
    await fails(town.directory(gate, **wrong, **KERBEROS), LogonRefused)
    await fails(town.directory(gate, **wrong), LogonRefused)
    assert await wrong_attempts(town, UNLUCKY) == before + 1


async def test_a_wrong_simple_password_is_shown_once(town: Town) -> None:
    wrong: dict[str, Any] = {
        "account": f"{UNLUCKY.name}@{town.organisation.domain}",
        "password": Secret("falsch2"),
    }
    before = await wrong_attempts(town, UNLUCKY)
    error = await fails(town.directory(**wrong), WrongPassword)
    assert "tried once" in str(error)
    assert await wrong_attempts(town, UNLUCKY) == before + 1


async def test_a_locked_account_is_named_as_such(town: Town) -> None:
    account = f"{LOCKED.name}@{town.organisation.domain}"
    for attempt in range(LOCK_AFTER):
        await fails(
            town.directory(account=account, password=Secret(f"falsch{attempt}")), WrongPassword
        )
    await fails(town.directory(account=account, password=LOCKED.password), AccountLocked)
    error = await fails(
        town.directory(account=account, password=LOCKED.password, **KERBEROS), LogonRefused
    )
    assert "locked or disabled" in str(error)


async def test_an_unknown_account_is_a_wrong_logon(town: Town) -> None:
    account = f"niemand@{town.organisation.domain}"
    await fails(town.directory(account=account, **KERBEROS), WrongPassword)


async def test_a_realm_of_nobody_is_named(town: Town) -> None:
    error = await fails(
        town.directory(account="leser@nirgends.example", **KERBEROS), KdcUnreachable
    )
    assert "NIRGENDS.EXAMPLE" in str(error)


async def test_another_name_of_the_controller_gets_no_ticket(town: Town, tmp_path: Path) -> None:
    other = f"ldap.{town.organisation.domain}"
    settings = town.settings(encryption=Encryption.NONE, **KERBEROS)
    error = await fails(Directory(other, settings, {(other, 389): (ADDRESS, 389)}), UnknownService)
    assert f"setspn -S ldap/{other}" in str(error)


async def test_an_expired_ticket_is_told_from_none(town: Town, tmp_path: Path) -> None:
    kinit(town, tmp_path / "short", "-l", "1s")
    await asyncio.sleep(2)
    await fails(town.directory(**TICKET), TicketExpired)


def at_another_time(town: Town, folder: Path) -> str:
    """What our client says where the clock is an hour ahead."""
    program = (
        "import asyncio, sys; from mailmig.sources.directory import Directory, DirectorySettings;"
        "from mailmig.sources.directory_settings import Encryption, Logon;"
        "settings = DirectorySettings(logon=Logon.KERBEROS, encryption=Encryption.NONE);"
        "asyncio.run(Directory(sys.argv[1], settings, {}).open())"
    )
    environment = os.environ | {"LD_PRELOAD": str(wrong_clock(folder, 3600))}
    done = subprocess.run(
        [sys.executable, "-c", program, town.controller.fqdn],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stderr


async def test_clocks_that_are_apart_are_named(town: Town, tmp_path: Path) -> None:
    kinit(town, tmp_path / "tickets")
    assert "kerberos_errors.ClocksApart: " in at_another_time(town, tmp_path)


def stock_ldap3(town: Town) -> list[str]:
    """What ldap3 by itself gets with its own Kerberos, with nothing of ours between."""
    server = ldap3.Server(
        town.controller.fqdn, 636, use_ssl=True, get_info=ldap3.NONE, connect_timeout=5,
        tls=ldap3.Tls(ssl.CERT_REQUIRED, ca_certs_file=str(town.controller.ca_file)),
    )  # fmt: skip
    connection: Any = ldap3.Connection(
        server, authentication=ldap3.SASL, sasl_mechanism=ldap3.KERBEROS, receive_timeout=20
    )
    assert connection.bind(), connection.result
    connection.search(town.forest.base, "(msExchMailboxGuid=*)", attributes=["cn"])
    found = [row["dn"] for row in connection.response if row["type"] == "searchResEntry"]
    connection.unbind()
    return found


async def test_stock_ldap3_sees_as_many_with_its_own_kerberos(town: Town, tmp_path: Path) -> None:
    kinit(town, tmp_path / "tickets")
    async with town.directory(**TICKET) as asked:
        ours = {mailbox.distinguished_name for mailbox in await asked.mailboxes()}
    assert set(await asyncio.to_thread(stock_ldap3, town)) == ours

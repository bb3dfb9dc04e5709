"""OpenLDAP's ldapsearch against the lab's domain controllers."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from mailmig.lab.certificates import Authority
from tests.lab.strangers import needs
from tests.lab.town_directory import PASSWORD, READER, Town, founded, running


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with asyncio.timeout(60), running(founded(80, 7)) as found:
        yield found


async def ldapsearch(*words: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """How it ended, and what it wrote."""
    program = needs("ldapsearch")
    process = await asyncio.create_subprocess_exec(
        program, "-x", "-LLL", "-o", "ldif-wrap=no", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"LDAPNOINIT": "1"} if env is None else env,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


def logon(town: Town) -> list[str]:
    return ["-H", town.url(), "-D", READER, "-w", PASSWORD.reveal()]


def values(ldif: str, name: str) -> list[bytes]:
    """The values of an attribute in LDIF, plain or in base64."""
    found = []
    for line in ldif.splitlines():
        key, colon, value = line.partition(":")
        if colon and key == name:
            coded = value.startswith(":")
            found.append(base64.b64decode(value[1:]) if coded else value.strip().encode())
    return found


async def test_ldapsearch_reads_the_root_without_a_name(town: Town) -> None:
    code, out, _ = await ldapsearch(
        "-H", town.url(), "-b", "", "-s", "base", "defaultNamingContext"
    )
    assert code == 0
    assert values(out, "defaultNamingContext") == [town.base.encode()]


async def test_ldapsearch_gets_every_mailbox_by_pages(town: Town) -> None:
    code, out, errors = await ldapsearch(
        *logon(town), "-E", "pr=25/noprompt", "-b", town.base, "(msExchMailboxGuid=*)",
        "msExchMailboxGuid",
    )  # fmt: skip
    assert (code, errors) == (0, "")
    guids = {str(UUID(bytes_le=value)) for value in values(out, "msExchMailboxGuid")}
    assert guids == {mailbox.exchange_guid for mailbox in town.organisation.present()}


async def test_ldapsearch_finds_a_guid_by_its_bytes(town: Town) -> None:
    mailbox = next(town.organisation.present())
    escaped = "".join(f"\\{byte:02x}" for byte in UUID(mailbox.exchange_guid).bytes_le)
    code, out, _ = await ldapsearch(
        *logon(town), "-b", town.base, f"(msExchMailboxGuid={escaped})", "sAMAccountName"
    )
    assert code == 0
    assert values(out, "sAMAccountName") == [mailbox.account.encode()]


async def test_ldapsearch_shows_the_servers_with_their_builds(town: Town) -> None:
    code, out, _ = await ldapsearch(
        *logon(town), "-b", town.forest.configuration, "(objectClass=msExchExchangeServer)",
        "serialNumber",
    )  # fmt: skip
    assert code == 0
    assert values(out, "serialNumber") == [
        b"Version 15.1 (Build 32507.6)", b"Version 15.2 (Build 32562.17)",
        b"Version 15.2 (Build 32562.17)",
    ]  # fmt: skip


async def test_ldapsearch_is_told_why_it_is_refused(town: Town) -> None:
    code, _, errors = await ldapsearch(
        "-H", town.url(), "-D", READER, "-w", "falsch", "-b", town.base
    )
    assert code == 49 and "data 52e" in errors
    code, _, errors = await ldapsearch(*logon(town), "-b", "DC=other,DC=example")
    assert code == 10 and "ldap://other.example" in errors


async def test_ldapsearch_speaks_starttls_and_ldaps_with_the_labs_authority(
    town: Town, tmp_path: Path
) -> None:
    """By address: ldapsearch has no way to be told where a name is."""
    host, _ = town.first.where
    await town.first.close()
    town.first.certificate = town.authority.certificate(host)
    await town.first.start()
    trusted, untrusted = tmp_path / "ldap.conf", tmp_path / "other.conf"
    trusted.write_text(f"TLS_CACERT {town.ca_file(tmp_path)}\nTLS_REQCERT demand\n", "utf-8")
    other = Authority().write(tmp_path / "other.pem")
    untrusted.write_text(f"TLS_CACERT {other}\nTLS_REQCERT demand\n", "utf-8")
    _, port = town.first.secure
    for words in (["-H", f"ldaps://{host}:{port}"], ["-H", town.url(), "-ZZ"]):
        asked = [*words, "-D", READER, "-w", PASSWORD.reveal(), "-b", town.base, "(cn=x)"]
        code, _, errors = await ldapsearch(*asked, env={"LDAPCONF": str(trusted)})
        assert code == 0, errors
        code, _, errors = await ldapsearch(*asked, env={"LDAPCONF": str(untrusted)})
        assert code != 0
    assert all(attempt.accepted for attempt in town.accounts.attempts)

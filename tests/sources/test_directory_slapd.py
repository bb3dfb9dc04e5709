"""Our LDAP client against OpenLDAP's slapd, which we did not write, filled like the lab."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailmig.lab.directory import Forest
from mailmig.model.secret import Secret
from mailmig.sources.directory import Directory, DirectorySettings
from mailmig.sources.directory_errors import NotTrusted, QuestionFailed, WrongPassword
from mailmig.sources.directory_settings import Encryption
from tests.lab.town_directory import PASSWORD as LAB_PASSWORD
from tests.lab.town_directory import READER, founded, running
from tests.sources.slapd import NAME, PASSWORD, Slapd, slapd


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    organisation = founded(80, 7)
    forest = Forest(organisation, lambda: organisation.now)
    with slapd(tmp_path_factory.mktemp("slapd") / "own", forest) as found:
        yield found


def directory(
    server: Slapd,
    encryption: Encryption = Encryption.LDAPS,
    password: Secret = PASSWORD,
    *,
    known: bool = True,
) -> Directory:
    settings = DirectorySettings(
        account=server.account, password=password, encryption=encryption, timeout_s=15.0,
        page_size=37, ca_file=server.ca_file if known else None,
    )  # fmt: skip
    return Directory(NAME, settings, {(NAME, 389): server.plain, (NAME, 636): server.secure})


@pytest.mark.parametrize("encryption", [Encryption.LDAPS, Encryption.STARTTLS])
async def test_slapd_and_the_lab_tell_the_same(
    encryption: Encryption, server: Slapd, tmp_path: Path
) -> None:
    async with asyncio.timeout(60):
        async with directory(server, encryption) as asked:
            there = await everything(asked)
        async with running(founded(80, 7)) as town:
            settings = DirectorySettings(
                account=READER, password=LAB_PASSWORD, ca_file=town.ca_file(tmp_path)
            )
            async with Directory(town.first.fqdn, settings, town.addresses) as asked:
                here = await everything(asked)
    assert there == here
    assert len(here["mailboxes"]) > 80 and len(here["groups"]) > 10


async def everything(asked: Directory) -> dict[str, set[Any]]:
    """All answers; slapd spells the parts of a distinguished name in its own way."""
    found: dict[str, set[Any]] = {
        "mailboxes": {replace(one, distinguished_name="") for one in await asked.mailboxes()},
        "databases": set(await asked.databases()),
        "servers": set(await asked.servers()),
        "dags": set(await asked.dags()),
        "sites": set(await asked.sites()),
        "controllers": set(await asked.domain_controllers()),
        "points": set(await asked.autodiscover_points()),
        "groups": {(one.guid, frozenset(one.members)) for one in await asked.groups()},
    }
    assert asked.gaps() == ()
    return found


async def test_a_wrong_password_at_slapd_is_a_wrong_password(server: Slapd) -> None:
    with pytest.raises(WrongPassword, match="tried once"):
        await directory(server, password=Secret("falsch")).open()


async def test_the_certificate_of_slapd_is_checked(server: Slapd) -> None:
    with pytest.raises(NotTrusted):
        await directory(server, known=False).open()


async def test_a_server_that_knows_no_descriptors_refuses_to_tell_rights(server: Slapd) -> None:
    async with asyncio.timeout(30), directory(server) as asked:
        with pytest.raises(QuestionFailed, match="unavailableCriticalExtension"):
            await asked.edges()

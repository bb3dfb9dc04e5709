"""The domain for all tests here: the lab's town in a Samba, and accounts that log on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from mailmig.lab import founding, story
from mailmig.lab.directory import Forest
from mailmig.lab.directory.forest import Standing
from mailmig.lab.organisation import Organisation
from mailmig.model.names import AddressMap
from mailmig.model.secret import Secret
from mailmig.sources.directory import Directory, DirectorySettings
from mailmig.sources.directory_settings import Encryption
from mailmig.sources.remote_logon import LogonGate
from tests.samba.controller import ADDRESS, HOST, SITE, Controller, controller
from tests.samba.domain import Login

MAILBOXES: Final = 300
READER: Final = Login("leser", Secret("Nür-im-Labor-1"))
SERVICE: Final = Login("svc-exchange", Secret("Nur-im-Labor-2"), ("HTTP/ls-ex1.{domain}",))
# Each of these belongs to one file of tests, or to one test, which spoils it.
UNLUCKY: Final = Login("pechvogel", Secret("Nur-im-Labor-3"))
LOCKED: Final = Login("gesperrt", Secret("Nur-im-Labor-4"))
UNLUCKY_THERE: Final = Login("unglueck", Secret("Nur-im-Labor-5"))
STRANGER: Final = Login("fremd", Secret("Nur-im-Labor-6"))


@dataclass(frozen=True, slots=True)
class Town:
    """What a test holds of the domain."""

    organisation: Organisation
    forest: Forest
    controller: Controller

    @property
    def addresses(self) -> AddressMap:
        """The controller by another name for its address than the one in its tickets."""
        return {(self.controller.fqdn, port): (ADDRESS, port) for port in (389, 636)}

    def settings(self, **more: Any) -> DirectorySettings:
        """The reader's simple logon inside TLS, or what `more` says."""
        options: dict[str, Any] = {
            "account": f"{READER.name}@{self.organisation.domain}", "password": READER.password,
            "ca_file": self.controller.ca_file, "timeout_s": 20.0,
        }  # fmt: skip
        options |= more
        if options.get("encryption") is Encryption.NONE:
            options["ca_file"] = None
        return DirectorySettings(**options)

    def directory(self, gate: LogonGate | None = None, **more: Any) -> Directory:
        """Our client."""
        return Directory(self.controller.fqdn, self.settings(**more), self.addresses, gate)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    organisation = founding.found(story.read("town"), MAILBOXES, 1)
    forest = Forest(organisation, lambda: organisation.now, controllers=(Standing(HOST, SITE),))
    names = tuple(name.format(domain=organisation.domain) for name in SERVICE.services)
    service = Login(SERVICE.name, SERVICE.password, names)
    logins = (READER, service, UNLUCKY, LOCKED, UNLUCKY_THERE, STRANGER)
    with controller(tmp_path_factory.mktemp("samba"), forest, logins) as found:
        yield Town(organisation, forest, found)


@pytest.fixture(autouse=True)
def no_tickets_of_others(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kerberos looks at this domain, and nobody has logged on."""
    for name, value in town.controller.environment(f"FILE:{town.controller.folder}/none").items():
        monkeypatch.setenv(name, value)

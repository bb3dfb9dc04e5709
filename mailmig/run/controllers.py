"""Which domain controllers are asked: those of the settings, else those that DNS names."""

import socket

from mailmig.model.errors import MailmigError
from mailmig.model.names import DomainController
from mailmig.sources.directory_settings import DirectorySettings
from mailmig.sources.names import Names
from mailmig.sources.names_errors import NoSuchName, NoSuchRecord


class NoDomain(MailmigError):
    """Nobody said which domain it is about, and this machine belongs to none."""

    def __init__(self) -> None:
        super().__init__(
            "no domain controller is named, and neither the account nor this machine names a "
            'domain; set servers in the table [directory], for example servers = ["dc1.example.com"]'
        )


class NoControllersPublished(MailmigError):
    """DNS knows no domain controllers of this domain: look at its name, and at who is asked."""

    def __init__(self, domain: str, server: str, why: str) -> None:
        super().__init__(
            f"{server} knows no domain controllers of {domain} ({why} for "
            f"_ldap._tcp.dc._msdcs.{domain}); look at the domain's name, or name another name "
            "server in [names] servers"
        )
        self.domain = domain
        self.server = server
        self.why = why


async def controllers(settings: DirectorySettings, names: Names) -> tuple[str, ...]:
    """The controllers' full names in the order in which they are tried.

    Raises:
        NoDomain, and what `published` raises.
    """
    if settings.servers:
        return settings.servers
    domain = domain_of(settings)
    if not domain:
        raise NoDomain
    return tuple(one.name for one in await published(domain, names))


async def published(domain: str, names: Names) -> tuple[DomainController, ...]:
    """The controllers that DNS names for a domain, in the order in which clients take them.

    Raises:
        NoControllersPublished, BadName, NameServerUnreachable, QuestionRefused, BrokenAnswer
    """
    try:
        return await names.discover(domain)
    except (NoSuchName, NoSuchRecord) as error:
        raise NoControllersPublished(domain, error.answer.server, error.answer.rcode) from error


def domain_of(settings: DirectorySettings) -> str:
    """The domain of the account, else of this machine; "" where neither has one."""
    named = settings.account.partition("@")[2]
    return named or socket.getfqdn().partition(".")[2]

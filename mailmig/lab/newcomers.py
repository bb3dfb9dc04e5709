"""Mailboxes that come while the organisation lives: made by cmdlets, or as probes of the lab.

A new mailbox is empty, and its owner has not been there yet.
"""

from mailmig.lab.organisation import Organisation, guid
from mailmig.lab.population import Mailbox
from mailmig.model.database import Database
from mailmig.model.directory import Kind
from mailmig.model.quota import MIB, Quotas
from mailmig.rules.probe_accounts import DatabaseProbes, openings, probes

# Accounts without an organisational unit lie here.
USERS = ("Users",)


def add(
    organisation: Organisation, kind: Kind, account: str, database: str, *,
    name: str = "", display_name: str = "", alias: str = "", domain: str = "",
) -> Mailbox:  # fmt: skip
    """A new mailbox; what is not said follows from the account."""
    number = len(organisation.mailboxes)
    name = name or account
    mailbox = Mailbox(
        number=number, kind=kind, guid=guid(organisation.seed, "object", number),
        exchange_guid=guid(organisation.seed, "mailbox", number), name=name,
        display_name=display_name or name, alias=alias or account, account=account,
        domain=domain or organisation.mail_domains[0], path=USERS, database=database,
        created=organisation.now,
    )  # fmt: skip
    organisation.mailboxes.append(mailbox)
    return mailbox


def found_probes(organisation: Organisation) -> tuple[DatabaseProbes, ...]:
    """The organisation has its probes already, as the cmdlets would make them."""
    numbers: dict[str, int] = {}
    databases = [Database(one.name, server=one.server) for one in organisation.databases.values()]
    domain, forest = organisation.mail_domains[0], organisation.domain
    made = probes(databases, organisation.servers, domain, forest)
    for pair in made:
        for one in (pair.delegate, pair.shared):
            kind = Kind.SHARED if one.shared else Kind.USER
            mailbox = add(organisation, kind, one.account, one.database, display_name=one.title)
            mailbox.hidden, mailbox.use_database_quotas = True, False
            mailbox.own = Quotas(80 * MIB, 90 * MIB, 100 * MIB)
            numbers[one.account] = mailbox.number
    for delegate, opened in openings(made):
        for shared in opened:
            organisation.full_access.grant(numbers[shared.account], numbers[delegate.account])
    return made

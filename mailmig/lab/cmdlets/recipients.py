"""Get-Recipient: mailboxes and mail-enabled groups in one list, with fewer properties.

Arbitration, audit-log and monitoring mailboxes are in none of Exchange's address lists and do not
come; names of groups' addresses follow from their account [DEF].
"""

from collections.abc import Iterator
from functools import partial
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.cmdlets.people import details_named
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.objects import Live
from mailmig.lab.organisation import Mailbox, Principal
from mailmig.lab.rows import KIND_NAMES, ORDINARY
from mailmig.model.directory import Kind
from mailmig.wire.clixml import Value

_SHOWN: Final = (*ORDINARY, Kind.PUBLIC_FOLDER)
_GROUP: Final = "MailUniversalSecurityGroup"
_TYPE: Final = f"{v.DIRECTORY}.Recipient.RecipientType"
# RecipientType of what the lab has (numbers from memory [MEM]).
_NUMBERS: Final = {"UserMailbox": 1, _GROUP: 7}
_OF_MAILBOX: Final = (
    "Alias", "ArchiveGuid", "ArchiveDatabase", "Database", "DisplayName", "DistinguishedName",
    "EmailAddresses", "ExchangeGuid", "HiddenFromAddressListsEnabled", "LitigationHoldEnabled",
    "MailboxMoveTargetMDB", "MailboxMoveSourceMDB", "MailboxMoveFlags", "MailboxMoveStatus",
    "Name", "Office", "OrganizationalUnit", "PrimarySmtpAddress", "RecipientTypeDetails",
    "SamAccountName", "ServerLegacyDN", "ServerName", "Identity", "Id", "Guid", "ObjectCategory",
    "ObjectClass", "WhenChanged", "WhenCreated", "WhenChangedUTC", "WhenCreatedUTC",
    "OrganizationId", "OriginatingServer",
)  # fmt: skip
_OF_GROUP: Final = (
    "Name", "DisplayName", "SamAccountName", "DistinguishedName", "OrganizationalUnit",
    "RecipientTypeDetails", "Identity", "Id", "Guid", "ObjectCategory", "ObjectClass",
    "WhenChanged", "WhenCreated", "WhenChangedUTC", "WhenCreatedUTC", "OrganizationId",
    "OriginatingServer",
)  # fmt: skip


def _recipients(ask: Ask) -> Iterator[Given]:
    wanted = details_named(ask.bound.get("RecipientTypeDetails"))
    database = ask.database("Database")
    for one in _found(ask):
        name = KIND_NAMES[one.kind] if isinstance(one, Mailbox) else _GROUP
        if wanted and name.lower() not in wanted:
            continue
        if database is not None and getattr(one, "database", None) != database.name:
            continue
        yield Row("Get-Recipient", one.guid, None, partial(_recipient, ask, one))


def _found(ask: Ask) -> list[Mailbox | Principal]:
    if not ask.identity:
        groups = [group for group in ask.organisation.principals if group.is_group]
        return [*ask.organisation.present(*_SHOWN), *groups]
    found: list[Mailbox | Principal] = [
        one
        for one in ask.register.find(ask.identity)
        if isinstance(one, Principal) or (isinstance(one, Mailbox) and one.kind in _SHOWN)
    ]
    ask.the_one(list(found))
    return found


def _recipient(ask: Ask, one: Mailbox | Principal) -> tuple[str, Live]:
    return _mailbox(ask, one) if isinstance(one, Mailbox) else _group(ask, one)


def _mailbox(ask: Ask, mailbox: Mailbox) -> tuple[str, Live]:
    name, live = ask.view.recipients.mailbox(mailbox)
    return name, {
        **{key: live[key] for key in _OF_MAILBOX},
        "RecipientType": _type("UserMailbox"),
        "Company": ask.organisation.name,
        "Department": mailbox.department,
        "Title": mailbox.title,
        "WindowsLiveID": v.smtp_address(""),
    }


def _group(ask: Ask, group: Principal) -> tuple[str, Live]:
    name, live = ask.view.recipients.group(group)
    address = f"{group.guid[:8]}@{ask.organisation.mail_domains[0]}"
    empty: dict[str, Value] = dict.fromkeys(
        ("ArchiveDatabase", "Database", "MailboxMoveTargetMDB", "MailboxMoveSourceMDB")
    )
    return name, {
        **empty,
        **{key: live[key] for key in _OF_GROUP},
        "RecipientType": _type(_GROUP),
        "Alias": group.account,
        "ArchiveGuid": v.NO_GUID,
        "ExchangeGuid": UUID(int=0),
        "EmailAddresses": v.proxy_addresses([address]),
        "PrimarySmtpAddress": v.smtp_address(address),
        "HiddenFromAddressListsEnabled": False,
        "LitigationHoldEnabled": False,
        "MailboxMoveFlags": v.enum(f"{v.DIRECTORY}.Recipient.RequestFlags", "None", 0),
        "MailboxMoveStatus": v.enum(f"{v.DIRECTORY}.Recipient.RequestStatus", "None", 0),
        "Company": "", "Department": "", "Title": "", "Office": "",
        "ServerLegacyDN": "", "ServerName": "",
        "WindowsLiveID": v.smtp_address(""),
    }  # fmt: skip


def _type(name: str) -> Value:
    return v.enum(_TYPE, name, _NUMBERS[name])


CMDLETS: Final = (
    Simulated(
        "Get-Recipient", _recipients, ("Identity", "RecipientTypeDetails", "Database"),
        limited=True,
    ),
)  # fmt: skip

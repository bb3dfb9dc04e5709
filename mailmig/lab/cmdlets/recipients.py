"""Get-Recipient: mailboxes and mail-enabled groups in one list, with fewer properties.

Arbitration, audit-log and monitoring mailboxes are in none of Exchange's address lists and do not
come; names of groups' addresses follow from their account [DEF].
"""

from collections.abc import Iterator
from functools import partial
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.cmdlets.narrowing import (
    SHARED,
    fits_name,
    fits_pattern,
    in_order,
    is_pattern,
    names_of,
    units,
)
from mailmig.lab.cmdlets.people import GROUP, details_named
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.objects import Live
from mailmig.lab.population import Mailbox, Principal
from mailmig.lab.rows import KIND_NAMES, ORDINARY
from mailmig.model.directory import Kind
from mailmig.wire.clixml import Value

_SHOWN: Final = (*ORDINARY, Kind.PUBLIC_FOLDER)
_TYPE: Final = f"{v.DIRECTORY}.Recipient.RecipientType"
# RecipientType of what the lab has (numbers from memory [MEM]).
_NUMBERS: Final = {"UserMailbox": 1, GROUP: 7}
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
    yield from in_order(ask, _rows(ask))


def _rows(ask: Ask) -> Iterator[Row]:
    details = details_named(ask.bound.get("RecipientTypeDetails"))
    types = details_named(ask.bound.get("RecipientType"))
    database, unit = ask.database("Database"), units(ask)
    for one in _found(ask):
        is_mailbox = isinstance(one, Mailbox)
        detail = KIND_NAMES[one.kind] if isinstance(one, Mailbox) else GROUP
        if details and detail.lower() not in details:
            continue
        if types and ("usermailbox" if is_mailbox else GROUP.lower()) not in types:
            continue
        if database is not None and getattr(one, "database", None) != database.name:
            continue
        if unit is not None and not unit.holds(one.path):
            continue
        if not fits_name(ask, _names(one)):
            continue
        yield Row("Get-Recipient", one.guid, None, partial(_recipient, ask, one))


def _names(one: Mailbox | Principal) -> tuple[str, ...]:
    return names_of(one) if isinstance(one, Mailbox) else (one.name, one.account)


def _found(ask: Ask) -> list[Mailbox | Principal]:
    groups = [group for group in ask.organisation.principals if group.is_group]
    everybody: list[Mailbox | Principal] = [*ask.organisation.present(*_SHOWN), *groups]
    if not ask.identity:
        return everybody
    if is_pattern(ask.identity):
        return [one for one in everybody if fits_pattern(ask.identity, _names(one))]
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
    address = group.address(ask.organisation.mail_domains[0])
    empty: dict[str, Value] = dict.fromkeys(
        ("ArchiveDatabase", "Database", "MailboxMoveTargetMDB", "MailboxMoveSourceMDB")
    )
    return name, {
        **empty,
        **{key: live[key] for key in _OF_GROUP},
        "RecipientType": _type(GROUP),
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
        "Get-Recipient", _recipients,
        ("Identity", "RecipientTypeDetails", "RecipientType", "Database", *SHARED), limited=True,
    ),
)  # fmt: skip

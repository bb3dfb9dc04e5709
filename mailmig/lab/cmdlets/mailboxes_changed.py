"""Set-Mailbox for quotas and address lists, Add- and Remove-MailboxPermission for Full Access.

Exchange stores quotas as whole KB and refuses those that do not rise from warning to sending to
receiving; unlimited is the highest. They count only where `UseDatabaseQuotaDefaults` is false, and
setting one does not change that flag (migration.md 2.3). What else these cmdlets can do is refused
with the lab's own error. Words of errors and warnings are from memory [MEM] unless said otherwise.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.people import trustee_text, without_owner
from mailmig.lab.cmdlets.settings import size
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated, is_meant
from mailmig.lab.exchange.calls import Warning, not_simulated
from mailmig.lab.population import Mailbox, Principal
from mailmig.lab.rows import KINDS_OF_FILE, ORDINARY
from mailmig.model.directory import Kind
from mailmig.model.quota import KIB, UNLIMITED, Quota, Quotas

_QUOTAS: Final = ("IssueWarningQuota", "ProhibitSendQuota", "ProhibitSendReceiveQuota")
_DEFAULTS: Final = "UseDatabaseQuotaDefaults"
_HIDDEN: Final = "HiddenFromAddressListsEnabled"
_SWITCHES: Final = {
    "Arbitration": KINDS_OF_FILE["arbitration_mailboxes"],
    "PublicFolder": KINDS_OF_FILE["public_folder_mailboxes"],
}
# The highest quota that is a number (documentation of Set-Mailbox).
HIGHEST: Final = (2**31 - 1) * KIB
_INVALID: Final = "Microsoft.Exchange.Data.DataValidationException"
UNCHANGED: Final = "The command completed successfully but no settings of '{0}' have been modified."
PRESENT: Final = (
    'The appropriate access control entry is already present on the object "{0}" for account "{1}".'
)
# As reports of it quote it.
ABSENT: Final = (
    'Can\'t remove the access control entry on the object "{0}" for account "{1}" because the ACE '
    "doesn't exist on the object."
)
_FULL_ACCESS: Final = "FullAccess"


def _set(ask: Ask) -> Iterator[Given]:
    mailbox = meant(ask, _kinds(ask))
    now = (mailbox.own, mailbox.use_database_quotas, mailbox.hidden)
    wanted = (
        _quotas(ask, mailbox), _truth(ask, _DEFAULTS, mailbox.use_database_quotas),
        _truth(ask, _HIDDEN, mailbox.hidden),
    )  # fmt: skip
    if wanted == now:
        yield Warning(UNCHANGED.format(ask.view.places.canonical(mailbox.path, mailbox.name)))
    elif not ask.bound.is_on("WhatIf"):
        mailbox.own, mailbox.use_database_quotas, mailbox.hidden = wanted


def _truth(ask: Ask, name: str, now: bool) -> bool:
    """A boolean as it would be then. Raises `Failed`."""
    if name not in ask.bound.values:
        return now
    value = ask.bound.get(name)
    if not isinstance(value, bool):
        raise errors.unconvertible(ask.bound.cmdlet, name, value, "System.Boolean")
    return value


def _kinds(ask: Ask) -> tuple[Kind, ...]:
    """Mailboxes of the system are changed only by who says so."""
    asked = [kinds for switch, kinds in _SWITCHES.items() if ask.bound.is_on(switch)]
    return tuple(kind for kinds in asked for kind in kinds) if asked else ORDINARY


def meant(ask: Ask, kinds: tuple[Kind, ...]) -> Mailbox:
    """The only mailbox of these kinds that the identity means. Raises `Failed`."""
    found = [one for one in ask.register.mailboxes(ask.identity) if one.kind in kinds]
    ask.the_one(list(found))
    return found[0]


def _quotas(ask: Ask, mailbox: Mailbox) -> Quotas:
    """The three as they would be then. Raises `Failed` where they do not rise."""
    now = (mailbox.own.warn, mailbox.own.send, mailbox.own.receive)
    found = {
        name: _quota(ask, name) if name in ask.bound.values else value
        for name, value in zip(_QUOTAS, now, strict=True)
    }
    for place, low in enumerate(_QUOTAS):
        for high in _QUOTAS[place + 1 :]:
            given = low in ask.bound.values or high in ask.bound.values
            if given and _height(found[low]) > _height(found[high]):
                raise ask.failed(
                    f"The value of property '{low}' must be less than or equal to that of property "
                    f"'{high}'. {low}: '{_printed(ask, found[low])}', "
                    f"{high}: '{_printed(ask, found[high])}'.",
                    _INVALID,
                )  # fmt: skip
    return Quotas(*found.values())


def _quota(ask: Ask, name: str) -> Quota:
    """A quota as Exchange stores it. Raises `Failed`."""
    value = ask.bound.get(name)
    try:
        read = size(str(value))
    except ValueError:
        raise errors.unconvertible(ask.bound.cmdlet, name, value, "Unlimited") from None
    if not isinstance(read, int):
        return UNLIMITED
    stored = -(-read // KIB) * KIB
    if stored > HIGHEST:
        raise ask.failed(
            f"The value of property '{name}' can't be above {_printed(ask, HIGHEST)}.", _INVALID
        )
    return stored


def _height(quota: Quota) -> float:
    return quota if isinstance(quota, int) else float("inf")


def _printed(ask: Ask, quota: Quota) -> str:
    return ask.view.culture.quota(quota)


def _add(ask: Ask) -> Iterator[Given]:
    mailbox, trustee = _pair(ask)
    rights, pair = ask.organisation.full_access, (mailbox.number, trustee)
    account = trustee_text(ask, trustee)
    if trustee in _holders(ask, mailbox):
        yield Warning(PRESENT.format(_place(ask, mailbox), account))
        return
    if ask.bound.is_on("WhatIf"):
        return
    rights.grant(*pair)
    if ask.bound.get("AutoMapping") is False:
        rights.unmapped.add(pair)
    *_, (text, live) = ask.view.recipients.rights_on(mailbox, "full_access", [account])
    key = f"{mailbox.guid}/{trustee}"
    yield Row("Get-MailboxPermission", key, None, partial(without_owner, text, live))


def _remove(ask: Ask) -> Iterator[Given]:
    mailbox, trustee = _pair(ask)
    if trustee not in _holders(ask, mailbox):
        yield Warning(ABSENT.format(_place(ask, mailbox), trustee_text(ask, trustee)))
    elif not ask.bound.is_on("WhatIf"):
        ask.organisation.full_access.revoke(mailbox.number, trustee)


def _pair(ask: Ask) -> tuple[Mailbox, int]:
    """Whose mailbox, and the number of who may or shall use it. Raises `Failed`."""
    _refuse_others(ask)
    found = ask.register.mailboxes(ask.identity)
    ask.the_one(list(found))
    mailbox, user = found[0], str(ask.bound.get("User"))
    for number in _holders(ask, mailbox):
        # a SID that no longer resolves is found only here
        if is_meant(user, trustee_text(ask, number)):
            return mailbox, number
    return mailbox, _trustee(ask, user)


def _trustee(ask: Ask, user: str) -> int:
    found = ask.register.find(user)
    if not found:
        raise ask.not_found(user)
    if len(found) > 1:
        raise errors.not_unique(ask.server.name, ask.bound.cmdlet, user)
    match found[0]:
        case Mailbox() as mailbox:
            return mailbox.number
        case Principal() as group:
            return -1 - ask.organisation.principals.index(group)
    raise Failed(not_simulated(f"a right of {user}, an account without a mailbox,"))


def _refuse_others(ask: Ask) -> None:
    """Raises `Failed` for anything but Full Access on the whole mailbox."""
    given = ask.bound.get("AccessRights")
    for right in given if isinstance(given, list) else [given]:
        if str(right).lower() != _FULL_ACCESS.lower():
            raise Failed(not_simulated(f"the right {right} of {ask.bound.cmdlet}"))
    spread = str(ask.bound.get("InheritanceType") or "All")
    if spread.lower() != "all":
        raise Failed(not_simulated(f"-InheritanceType {spread} of {ask.bound.cmdlet}"))


def _holders(ask: Ask, mailbox: Mailbox) -> list[int]:
    return ask.register.trustees("full_access").get(mailbox.number, [])


def _place(ask: Ask, mailbox: Mailbox) -> str:
    return ask.view.places.distinguished(mailbox.path, mailbox.name)


_WHO: Final = ("Identity", "User", "AccessRights", "InheritanceType")
CMDLETS: Final = (
    Simulated(
        "Set-Mailbox", _set,
        ("Identity", *_QUOTAS, _DEFAULTS, _HIDDEN, *_SWITCHES, "Force"), changes=True,
    ),
    Simulated("Add-MailboxPermission", _add, (*_WHO, "AutoMapping"), changes=True),
    Simulated("Remove-MailboxPermission", _remove, _WHO, asks=True, changes=True),
)  # fmt: skip

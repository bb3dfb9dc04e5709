"""Get-Mailbox, Get-User, Get-Group, and the rights on mailboxes."""

from collections.abc import Hashable, Iterator
from functools import partial
from typing import Final

from mailmig.lab.cmdlets.identities import PlainUser
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated, is_meant
from mailmig.lab.objects import Live
from mailmig.lab.organisation import Mailbox, Principal
from mailmig.lab.rows import KIND_NAMES, KINDS_OF_FILE, ORDINARY, sid
from mailmig.lab.shapes import OWNER
from mailmig.model.directory import Kind

# Which switch shows which mailboxes; the ordinary ones come without a switch (migration.md 2.1).
_SWITCHES: Final = {
    "Arbitration": KINDS_OF_FILE["arbitration_mailboxes"],
    "PublicFolder": KINDS_OF_FILE["public_folder_mailboxes"],
    "Monitoring": KINDS_OF_FILE["monitoring_mailboxes"],
    "AuditLog": KINDS_OF_FILE["audit_log_mailboxes"],
    "AuxAuditLog": KINDS_OF_FILE["aux_audit_log_mailboxes"],
    "Migration": KINDS_OF_FILE["migration_mailboxes"],
}


def _mailboxes(ask: Ask) -> Iterator[Given]:
    kinds = _kinds(ask)
    database = ask.database("Database")
    server = ask.server_named("Server")
    if ask.identity:
        found = [one for one in ask.register.mailboxes(ask.identity) if one.kind in kinds]
        ask.the_one(list(found))
    else:
        found = list(ask.organisation.present(*kinds)) if kinds else []
    wanted = details_named(ask.bound.get("RecipientTypeDetails"))
    for mailbox in found:
        home = ask.organisation.databases[mailbox.database]
        if database is not None and home is not database:
            continue
        if server is not None and home.server != server.name:
            continue
        if ask.bound.is_on("Archive") and mailbox.archive is None:
            continue
        if wanted and KIND_NAMES[mailbox.kind].lower() not in wanted:
            continue
        make = partial(ask.view.recipients.mailbox, mailbox)
        yield Row("Get-Mailbox", mailbox.guid, _stamp(ask, mailbox), make)


def _kinds(ask: Ask) -> tuple[Kind, ...]:
    """A switch shows its own mailboxes and hides the others."""
    asked = [kinds for switch, kinds in _SWITCHES.items() if ask.bound.is_on(switch)]
    return tuple(kind for kinds in asked for kind in kinds) if asked else ORDINARY


def details_named(value: object) -> set[str]:
    """The kinds that `-RecipientTypeDetails` names, in lower case; empty when all are meant."""
    if value in (None, ""):
        return set()
    return {str(one).lower() for one in (value if isinstance(value, list) else [value])}


def _stamp(ask: Ask, mailbox: Mailbox) -> Hashable:
    """All that Get-Mailbox tells and that can change."""
    archive, move = mailbox.archive, ask.organisation.move_of(mailbox)
    return (
        mailbox.kind, mailbox.display_name, mailbox.alias, mailbox.office, mailbox.database,
        ask.organisation.databases[mailbox.database].server, mailbox.use_database_quotas,
        mailbox.own, mailbox.recoverable, mailbox.on_behalf, mailbox.on_hold, mailbox.hidden,
        None if archive is None else (archive.database, archive.warn, archive.quota),
        None if move is None else (move.target, move.status(ask.organisation.now)),
        sum(ask.organisation.mailboxes[number].gone for number in mailbox.on_behalf),
    )  # fmt: skip


def _users(ask: Ask) -> Iterator[Given]:
    shown = (*ORDINARY, Kind.PUBLIC_FOLDER)
    found: list[Mailbox | PlainUser | Principal]
    if ask.identity:
        found = [
            one
            for one in ask.register.find(ask.identity)
            if isinstance(one, PlainUser) or (isinstance(one, Mailbox) and one.kind in shown)
        ]
        ask.the_one(found)
    else:
        found = [
            *ask.organisation.present(*shown),
            *(PlainUser(*account) for account in ask.organisation.accounts_only),
        ]
    recipients = ask.view.recipients
    for one in found:
        if isinstance(one, Mailbox):
            stamp = (one.kind, one.display_name, one.department, one.office, one.title)
            yield Row("Get-User", one.guid, stamp, partial(recipients.user, one))
        elif isinstance(one, PlainUser):
            make = partial(recipients.plain_user, one.guid, one.account, one.department)
            yield Row("Get-User", one.guid, None, make)


def _groups(ask: Ask) -> Iterator[Given]:
    if ask.identity:
        found = [one for one in ask.register.find(ask.identity) if isinstance(one, Principal)]
        ask.the_one(list(found))
    else:
        found = [group for group in ask.organisation.principals if group.is_group]
    for group in found:
        yield Row("Get-Group", group.guid, None, partial(ask.view.recipients.group, group))


def _full_access(ask: Ask) -> Iterator[Given]:
    found = ask.register.mailboxes(ask.identity) if ask.identity else _everybody(ask)
    yield from _rights(ask, found, "full_access")


def _directory_rights(ask: Ask) -> Iterator[Given]:
    """An alias or an address is no identity of a directory object: only these four are."""
    found = _everybody(ask)
    if ask.identity:
        places = ask.view.places
        found = [
            one
            for one in ask.register.mailboxes(ask.identity)
            if is_meant(
                ask.identity, one.guid, one.name, places.distinguished(one.path, one.name),
                places.canonical(one.path, one.name),
            )
        ]  # fmt: skip
    yield from _rights(ask, found, "send_as")


def _everybody(ask: Ask) -> list[Mailbox]:
    return list(ask.organisation.present(*ORDINARY))


def _rights(ask: Ask, found: list[Mailbox], name: str) -> Iterator[Given]:
    if ask.identity:
        ask.the_one(list(found))
    user = str(ask.bound.get("User") or "")
    index = ask.register.trustees(name)
    for mailbox in found:
        trustees = [_trustee(ask, number) for number in index.get(mailbox.number, ())]
        rows = ask.view.recipients.rights_on(mailbox, name, trustees)
        for place, (text, live) in enumerate(rows):
            if user and not is_meant(user, *_spellings(live)):
                continue
            key = f"{mailbox.guid}/{place}"
            yield Row(ask.bound.cmdlet, key, None, partial(_without_owner, text, live))


def _trustee(ask: Ask, number: int) -> str:
    """How the cmdlets print who holds a right; of who is gone only the SID is left."""
    if number >= 0 and ask.organisation.mailboxes[number].gone:
        return sid(ask.organisation, number)
    return ask.view.bulk.trustee(number)


def _spellings(live: Live) -> tuple[str, ...]:
    text = str(getattr(live["User"], "text", ""))
    return text, text.rpartition("\\")[2]


def _without_owner(text: str, live: Live) -> tuple[str, Live]:
    """Whose rights they are is a note of our export script; the cmdlet itself gives none."""
    return text, {name: value for name, value in live.items() if name != OWNER}


CMDLETS: Final = (
    Simulated(
        "Get-Mailbox", _mailboxes,
        ("Identity", "Database", "Server", "Archive", "RecipientTypeDetails", *_SWITCHES),
        limited=True,
    ),
    Simulated("Get-User", _users, ("Identity",), limited=True),
    Simulated("Get-Group", _groups, ("Identity",), limited=True),
    Simulated("Get-MailboxPermission", _full_access, ("Identity", "User")),
    Simulated("Get-ADPermission", _directory_rights, ("Identity", "User")),
)  # fmt: skip

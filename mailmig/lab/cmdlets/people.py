"""Get-Mailbox, Get-User, Get-Group, and the rights on mailboxes."""

from collections.abc import Hashable, Iterator
from functools import partial
from typing import Final

from mailmig.lab.cmdlets.identities import PlainUser
from mailmig.lab.cmdlets.narrowing import (
    SHARED,
    fits_name,
    fits_pattern,
    in_order,
    is_pattern,
    names_of,
    units,
)
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated, is_meant
from mailmig.lab.moving import flags_of
from mailmig.lab.objects import Live
from mailmig.lab.population import Mailbox, Principal
from mailmig.lab.rows import KIND_NAMES, KINDS_OF_FILE, ORDINARY, sid
from mailmig.lab.shapes import OWNER
from mailmig.model.directory import Kind

GROUP: Final = "MailUniversalSecurityGroup"
_USERS: Final = ("Users",)
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
    yield from in_order(ask, _mailbox_rows(ask))


def _mailbox_rows(ask: Ask) -> Iterator[Row]:
    for mailbox in selected(ask):
        make = partial(ask.view.recipients.mailbox, mailbox)
        yield Row("Get-Mailbox", mailbox.guid, _stamp(ask, mailbox), make)


def selected(ask: Ask) -> Iterator[Mailbox]:
    """The mailboxes that are left by all parameters but `-Filter`. Raises `Failed`."""
    kinds = _kinds(ask)
    database = ask.database("Database")
    server = ask.server_named("Server")
    unit = units(ask)
    wanted = details_named(ask.bound.get("RecipientTypeDetails"))
    for mailbox in _meant(ask, kinds):
        home = ask.organisation.databases[mailbox.database]
        if database is not None and home is not database:
            continue
        if server is not None and home.server != server.name:
            continue
        if ask.bound.is_on("Archive") and mailbox.archive is None:
            continue
        if wanted and KIND_NAMES[mailbox.kind].lower() not in wanted:
            continue
        if unit is not None and not unit.holds(mailbox.path):
            continue
        if not fits_name(ask, names_of(mailbox)):
            continue
        yield mailbox


def _meant(ask: Ask, kinds: tuple[Kind, ...]) -> list[Mailbox]:
    """Everybody of these kinds, those that a pattern fits, or the one that is meant."""
    everybody = list(ask.organisation.present(*kinds)) if kinds else []
    if not ask.identity:
        return everybody
    if is_pattern(ask.identity):
        return [one for one in everybody if fits_pattern(ask.identity, names_of(one))]
    found = [one for one in ask.register.mailboxes(ask.identity) if one.kind in kinds]
    ask.the_one(list(found))
    return found


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
    archive, move = mailbox.archive, ask.organisation.request_of(mailbox)
    return (
        mailbox.kind, mailbox.display_name, mailbox.alias, mailbox.office, mailbox.database,
        ask.organisation.databases[mailbox.database].server, mailbox.use_database_quotas,
        mailbox.own, mailbox.recoverable, mailbox.on_behalf, mailbox.on_hold, mailbox.hidden,
        None if archive is None else (archive.database, archive.warn, archive.quota),
        None if move is None else (
            move.source, move.target, move.status(ask.organisation.now), flags_of(move),
        ),
        sum(ask.organisation.mailboxes[number].gone for number in mailbox.on_behalf),
    )  # fmt: skip


def _users(ask: Ask) -> Iterator[Given]:
    yield from in_order(ask, _user_rows(ask))


def _user_rows(ask: Ask) -> Iterator[Row]:
    shown = _kinds_of_users(ask)
    unit = units(ask)
    wanted = details_named(ask.bound.get("RecipientTypeDetails"))
    recipients = ask.view.recipients
    for one in _people(ask, shown):
        path = _USERS if isinstance(one, PlainUser) else one.path
        names = (one.account,) if isinstance(one, PlainUser) else names_of(one)
        if unit is not None and not unit.holds(path):
            continue
        detail = "User" if isinstance(one, PlainUser) else KIND_NAMES[one.kind]
        if wanted and detail.lower() not in wanted:
            continue
        if not fits_name(ask, names):
            continue
        if isinstance(one, PlainUser):
            make = partial(recipients.plain_user, one.guid, one.account, one.department)
            yield Row("Get-User", one.guid, None, make)
        else:
            stamp = (one.kind, one.display_name, one.department, one.office, one.title)
            yield Row("Get-User", one.guid, stamp, partial(recipients.user, one))


def _kinds_of_users(ask: Ask) -> tuple[Kind, ...]:
    """Public-folder mailboxes are users as well; a switch shows its own alone."""
    asked = [kinds for switch, kinds in _SWITCHES.items() if ask.bound.is_on(switch)]
    if asked:
        return tuple(kind for kinds in asked for kind in kinds)
    return (*ORDINARY, Kind.PUBLIC_FOLDER)


def _people(ask: Ask, shown: tuple[Kind, ...]) -> list[Mailbox | PlainUser]:
    plain = [PlainUser(*account) for account in ask.organisation.accounts_only]
    everybody: list[Mailbox | PlainUser] = [
        *(ask.organisation.present(*shown) if shown else ()),
        *(plain if Kind.USER in shown else ()),
    ]
    if not ask.identity:
        return everybody
    if is_pattern(ask.identity):
        return [
            one
            for one in everybody
            if fits_pattern(
                ask.identity, (one.account,) if isinstance(one, PlainUser) else names_of(one)
            )
        ]
    found: list[Mailbox | PlainUser] = [
        one
        for one in ask.register.find(ask.identity)
        if isinstance(one, PlainUser) or (isinstance(one, Mailbox) and one.kind in shown)
    ]
    ask.the_one(list(found))
    return found


def _groups(ask: Ask) -> Iterator[Given]:
    yield from in_order(ask, _group_rows(ask))


def _group_rows(ask: Ask) -> Iterator[Row]:
    groups = [group for group in ask.organisation.principals if group.is_group]
    if ask.identity and is_pattern(ask.identity):
        groups = [g for g in groups if fits_pattern(ask.identity, (g.name, g.account))]
    elif ask.identity:
        groups = [one for one in ask.register.find(ask.identity) if isinstance(one, Principal)]
        ask.the_one(list(groups))
    unit = units(ask)
    wanted = details_named(ask.bound.get("RecipientTypeDetails"))
    for group in groups:
        if unit is not None and not unit.holds(group.path):
            continue
        if wanted and GROUP.lower() not in wanted:
            continue
        if not fits_name(ask, (group.name, group.account)):
            continue
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
        trustees = [trustee_text(ask, number) for number in index.get(mailbox.number, ())]
        rows = ask.view.recipients.rights_on(mailbox, name, trustees)
        for place, (text, live) in enumerate(rows):
            if user and not is_meant(user, *_spellings(live)):
                continue
            key = f"{mailbox.guid}/{place}"
            yield Row(ask.bound.cmdlet, key, None, partial(without_owner, text, live))


def trustee_text(ask: Ask, number: int) -> str:
    """How the cmdlets print who holds a right; of who is gone only the SID is left."""
    if number >= 0 and ask.organisation.mailboxes[number].gone:
        return sid(ask.organisation, number)
    return ask.view.bulk.trustee(number)


def _spellings(live: Live) -> tuple[str, ...]:
    text = str(getattr(live["User"], "text", ""))
    return text, text.rpartition("\\")[2]


def without_owner(text: str, live: Live) -> tuple[str, Live]:
    """Whose rights they are is a note of our export script; the cmdlet itself gives none."""
    return text, {name: value for name, value in live.items() if name != OWNER}


CMDLETS: Final = (
    Simulated(
        "Get-Mailbox", _mailboxes,
        ("Identity", "Database", "Server", "Archive", "RecipientTypeDetails", *SHARED, *_SWITCHES),
        limited=True,
    ),
    Simulated(
        "Get-User", _users,
        ("Identity", "RecipientTypeDetails", "Filter", "Sortby", "Anr", "OrganizationalUnit",
         "Arbitration", "PublicFolder", "AuditLog", "AuxAuditLog"),
        limited=True,
    ),
    Simulated(
        "Get-Group", _groups, ("Identity", "RecipientTypeDetails", *SHARED), limited=True
    ),
    Simulated("Get-MailboxPermission", _full_access, ("Identity", "User")),
    Simulated("Get-ADPermission", _directory_rights, ("Identity", "User")),
)  # fmt: skip

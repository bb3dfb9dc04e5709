"""Get-MailboxStatistics: what the databases hold, by database, by server or by mailbox.

By database and by server come the mailboxes and archives, what moves have copied so far
(`IsMoveDestination`) and what was disconnected: clients must leave those out (migration.md 2.2).
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from mailmig.lab.cmdlets.move_reports import history
from mailmig.lab.cmdlets.narrowing import in_order
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.databases import Database
from mailmig.lab.exchange.calls import Warning
from mailmig.lab.objects import Live
from mailmig.lab.population import Mailbox
from mailmig.lab.rows import Held, arriving

# Said when a mailbox was never used. From memory [MEM].
NEVER_USED: Final = (
    "The user hasn't logged on to mailbox '{0}' ('{1}'), so there is no data to return. After the "
    "user logs on, this warning will no longer appear."
)
_UNAVAILABLE: Final = "Microsoft.Exchange.Management.MapiTasks.DatabaseUnavailableException"


def _statistics(ask: Ask) -> Iterator[Given]:
    yield from in_order(ask, _rows(ask))


def _rows(ask: Ask) -> Iterator[Given]:
    database, server = ask.database("Database"), ask.server_named("Server")
    if database is not None:
        yield from _of_database(ask, database)
    elif server is not None:
        for held in ask.organisation.databases.values():
            if held.server == server.name:
                yield from _of_database(ask, held)
    elif ask.identity:
        found = ask.the_one(list(ask.register.mailboxes(ask.identity)))
        assert isinstance(found, Mailbox)
        yield from _of_mailbox(ask, found)
    else:
        for held in ask.organisation.databases.values():
            yield from _of_database(ask, held)


def _of_mailbox(ask: Ask, mailbox: Mailbox) -> Iterator[Given]:
    archive = mailbox.archive
    wants_archive = ask.bound.is_on("Archive") or (
        archive is not None and ask.identity.lower() == archive.guid
    )
    if wants_archive and archive is None:
        raise ask.failed(
            f"The mailbox '{mailbox.name}' doesn't have an archive.",
            "Microsoft.Exchange.Data.Storage.MailboxNotFoundException", "InvalidOperation",
        )  # fmt: skip
    home = archive.database if wants_archive and archive is not None else mailbox.database
    database = ask.organisation.databases[home]
    _refuse_unmounted(ask, database)
    if mailbox.last_logon is None:
        place = ask.view.places.canonical(mailbox.path, mailbox.name)
        yield Warning(NEVER_USED.format(place, mailbox.exchange_guid))
        return
    yield _row(ask, database, Held.of_archive(mailbox) if wants_archive else Held.of(mailbox))


def _of_database(ask: Ask, database: Database) -> Iterator[Given]:
    _refuse_unmounted(ask, database)
    for held in _holds(ask, database.name):
        yield _row(ask, database, held)


def _holds(ask: Ask, database: str) -> Iterator[Held]:
    """What one database holds, in the order in which `Bulk.by_database` gives all of them."""
    state = ask.organisation
    for mailbox in list(state.present()):
        if mailbox.last_logon is None:
            continue
        if mailbox.database == database:
            yield Held.of(mailbox)
        if mailbox.archive is not None and mailbox.archive.database == database:
            yield Held.of_archive(mailbox)
    for move in list(state.moves):
        yield from (held for home, held in arriving(state, move) if home == database)
    for left in list(state.leftovers):
        if left.database == database:
            reason = "SoftDeleted" if left.moved else "Disabled"
            yield Held(
                left.exchange_guid, left.display_name, "UserMailbox", left.used, left.items,
                0, 0, left.since, left.since, reason,
            )  # fmt: skip


def _row(ask: Ask, database: Database, held: Held) -> Row:
    make = partial(_live, ask, database.name, held)
    key = f"{held.guid}@{database.name}/{held.reason}/{held.coming_in}"
    told = ask.bound.is_on("IncludeMoveHistory") or ask.bound.is_on("IncludeMoveReport")
    stamp = None if told else (held, database.quotas, database.server)
    return Row("Get-MailboxStatistics", key, stamp, make)


def _live(ask: Ask, database: str, held: Held) -> tuple[str, Live]:
    live = ask.view.recipients.held(database, held)
    reports = ask.bound.is_on("IncludeMoveReport")
    if reports or ask.bound.is_on("IncludeMoveHistory"):
        for mailbox in ask.register.mailboxes(held.guid):
            live = {**live, "MoveHistory": history(ask, mailbox.number, reports=reports)}
    return held.display_name, live


def _refuse_unmounted(ask: Ask, database: Database) -> None:
    """The store cannot answer for it. Words and class from memory [MEM]."""
    if database.mounted and database.server not in ask.organisation.down:
        return
    raise ask.failed(
        f"Mailbox database '{database.name}' on server '{database.server}' is unavailable: "
        "MapiExceptionMdbOffline: Unable to make connection to the server. (hr=0x80004005, "
        "ec=1142)",
        _UNAVAILABLE, "ResourceUnavailable",
    )  # fmt: skip


CMDLETS: Final = (
    Simulated(
        "Get-MailboxStatistics", _statistics, ("Identity", "Database", "Server", "Archive", "Filter", "IncludeMoveHistory", "IncludeMoveReport")
    ),
)  # fmt: skip

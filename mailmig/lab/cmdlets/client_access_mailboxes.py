"""Get- and Set-CASMailbox: by which protocols clients may reach each mailbox.

An untouched mailbox has all protocols on, `MapiHttpEnabled` and `EwsEnabled` null, which means as
the organisation has it (health.md 2.7). Only the switches of whole protocols are simulated, and
what they forbid counts from the next request on: a real server may go on for minutes, as long as
it remembers them.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.mailboxes_changed import UNCHANGED
from mailmig.lab.cmdlets.narrowing import SHARED, in_order
from mailmig.lab.cmdlets.people import selected
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.exchange.calls import Warning
from mailmig.lab.protocols_of import OPEN, SWITCHES


def _client_access(ask: Ask) -> Iterator[Given]:
    yield from in_order(ask, _rows(ask))


def _rows(ask: Ask) -> Iterator[Row]:
    for mailbox in selected(ask):
        server = ask.organisation.databases[mailbox.database].server
        stamp = (
            mailbox.display_name, mailbox.alias, mailbox.linked_account, server, mailbox.protocols,
        )  # fmt: skip
        make = partial(ask.view.recipients.client_access, mailbox)
        yield Row("Get-CASMailbox", mailbox.guid, stamp, make)


def _set(ask: Ask) -> Iterator[Given]:
    found = ask.register.mailboxes(ask.identity)
    ask.the_one(list(found))
    mailbox = found[0]
    given: dict[str, Any] = {
        field: _switch(ask, name) for name, field in SWITCHES.items() if name in ask.bound.values
    }
    wanted = replace(mailbox.protocols, **given)
    if wanted == mailbox.protocols:
        yield Warning(UNCHANGED.format(ask.view.places.canonical(mailbox.path, mailbox.name)))
    elif not ask.bound.is_on("WhatIf"):
        mailbox.protocols = wanted


def _switch(ask: Ask, name: str) -> bool | None:
    """A switch as given. Raises `Failed` where it may not be null."""
    value = ask.bound.get(name)
    if isinstance(value, bool):
        return value
    if value is None and name in OPEN:
        return None
    raise errors.unconvertible(ask.bound.cmdlet, name, value, "System.Boolean")


CMDLETS: Final = (
    Simulated("Get-CASMailbox", _client_access, ("Identity", *SHARED, "Monitoring"), limited=True),
    Simulated("Set-CASMailbox", _set, ("Identity", *SWITCHES), changes=True),
)

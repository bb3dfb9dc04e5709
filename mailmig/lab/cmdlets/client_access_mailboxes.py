"""Get-CASMailbox: by which protocols clients may reach each mailbox.

Nothing in the lab changes that yet, so every mailbox has what an untouched one has: all protocols
on, `MapiHttpEnabled` and `EwsEnabled` null, which means as the organisation has it (health.md 2.7).
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from mailmig.lab.cmdlets.narrowing import SHARED, in_order
from mailmig.lab.cmdlets.people import selected
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated


def _client_access(ask: Ask) -> Iterator[Given]:
    yield from in_order(ask, _rows(ask))


def _rows(ask: Ask) -> Iterator[Row]:
    for mailbox in selected(ask):
        server = ask.organisation.databases[mailbox.database].server
        stamp = (mailbox.display_name, mailbox.alias, mailbox.linked_account, server)
        make = partial(ask.view.recipients.mailbox, mailbox)
        yield Row("Get-CASMailbox", mailbox.guid, stamp, make)


CMDLETS: Final = (
    Simulated("Get-CASMailbox", _client_access, ("Identity", *SHARED, "Monitoring"), limited=True),
)

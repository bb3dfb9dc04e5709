"""May clients reach this mailbox by that protocol? As Set-CASMailbox and the organisation have it.

What a mailbox itself leaves open (None) is as the organisation has it (health.md 2.7). The other
protocols have no switch there: `mailbox.protocols.owa` and the like tell all.
"""

from typing import Final

from mailmig.lab.organisation import Organisation, guid
from mailmig.lab.population import Mailbox

# What Get- and Set-CASMailbox call each field of `Protocols`.
SWITCHES: Final = {
    "MAPIEnabled": "mapi", "MapiHttpEnabled": "mapi_http", "EwsEnabled": "ews",
    "OWAEnabled": "owa", "ECPEnabled": "ecp", "ActiveSyncEnabled": "active_sync",
    "PopEnabled": "pop", "ImapEnabled": "imap",
}  # fmt: skip
# Those that may be null: then the organisation's own switch of that name counts.
OPEN: Final = ("MapiHttpEnabled", "EwsEnabled")


def mapi_http(organisation: Organisation, mailbox: Mailbox) -> bool:
    """Whether Outlook may use MAPI over HTTP for it."""
    own = mailbox.protocols
    return own.mapi and _counts(organisation, "MapiHttpEnabled", own.mapi_http)


def ews(organisation: Organisation, mailbox: Mailbox) -> bool:
    """Whether anybody may use EWS for it."""
    return _counts(organisation, "EwsEnabled", mailbox.protocols.ews)


def _counts(organisation: Organisation, name: str, own: bool | None) -> bool:
    """A mailbox's own switch, else that of the organisation; null there means on."""
    if own is not None:
        return own
    found = organisation.settings.value(guid(organisation.seed, "organisation"), name, True)
    return found is None or bool(found)

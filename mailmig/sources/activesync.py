"""Asks ActiveSync at an address what it can, as one of the probe accounts.

    seen = await ActiveSync(web, logons, credentials).options(
        "192.0.2.11", "mail.town.example", "probe@town.example")

Phones log on with Basic, whatever the other probes use, and so does this, over TLS that has been verified.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from mailmig.model.activesync import SyncOptions
from mailmig.model.web import HTTPS_PORT
from mailmig.sources.remote_settings import Scheme
from mailmig.sources.web import Web
from mailmig.sources.web_entering import Entering, Way
from mailmig.sources.web_session import Credential, Logons

PATH: Final = "/Microsoft-Server-ActiveSync"


class ActiveSync:
    """ActiveSync, asked by address. `credentials` by the addresses of their mailboxes."""

    def __init__(self, web: Web, logons: Logons, credentials: Mapping[str, Credential]) -> None:
        basic = {name: replace(one, scheme=Scheme.BASIC) for name, one in credentials.items()}
        self._entering = Entering(web, logons, basic)

    async def options(
        self, address: str, host: str, caller: str, port: int = HTTPS_PORT
    ) -> SyncOptions:
        """What is offered to a phone; a fault of the server is part of it.

        Raises:
            NotShownAgain, LogonHeld: the password may not be shown (any more).
        """
        came = await self._entering.request(Way(address, host, caller, port), "OPTIONS", PATH, ())
        listed = came.header("ms-asprotocolversions").split(",")
        return SyncOptions(
            came.status, came.offered, came.let_in,
            versions=tuple(one.strip() for one in listed if one.strip()),
            moved_to=came.header("x-ms-location"), front_end=came.header("x-feserver"),
            back_end=came.header("x-beserver"), trouble=came.trouble,
        )  # fmt: skip

"""Asks Autodiscover over SOAP (GetUserSettings) at an address, as one of the probe accounts.

    seen = await SoapAutodiscover(entering).discover(
        "192.0.2.11", "autodiscover.town.example", "sales@town.example", "probe@town.example")

This is where the URLs of EWS are told: 2019 and SE leave them out of POX when Outlook asks.
"""

from dataclasses import replace
from typing import Final

from mailmig.model.discovery import SoapSettings
from mailmig.model.web import HTTPS_PORT, Stage, Trouble
from mailmig.sources.web_entering import Came, Entering, Way
from mailmig.wire.autodiscover import soap
from mailmig.wire.documents import BadDocument

PATH: Final = "/autodiscover/autodiscover.svc"
_CONTENT: Final = ("Content-Type", "text/xml; charset=utf-8")
_SETTINGS: Final = ("UserDN", "InternalEwsUrl", "ExternalEwsUrl", "MapiHttpEnabled")
# A fault of SOAP comes with 500.
_ANSWERS: Final = (200, 500)
_SAID: Final = {"true": True, "false": False}


class SoapAutodiscover:
    """Autodiscover over SOAP, asked by address."""

    def __init__(self, entering: Entering) -> None:
        self._entering = entering

    async def discover(
        self, address: str, host: str, mailbox: str, caller: str, port: int = HTTPS_PORT
    ) -> SoapSettings:
        """What is said about a mailbox; a fault of the server is part of it.

        Raises:
            NotShownAgain, LogonHeld: the password may not be shown (any more).
        """
        body = soap.Request((mailbox,), _SETTINGS, to=f"https://{host}{PATH}").encode()
        headers = (_CONTENT, ("X-AnchorMailbox", mailbox), ("SOAPAction", f'"{soap.ACTION}"'))
        came = await self._entering.request(
            Way(address, host, caller, port), "POST", PATH, headers, body
        )
        return _read(came)


def _read(came: Came) -> SoapSettings:
    redirect = came.header("location") if 300 <= came.status < 400 else ""
    seen = SoapSettings(
        came.status, came.offered, came.let_in, redirect=redirect, trouble=came.trouble
    )
    if not came.let_in or came.reply is None or came.trouble or came.status not in _ANSWERS:
        return seen
    try:
        answer = soap.decode(came.reply.body)
    except BadDocument as error:
        return replace(seen, trouble=Trouble(Stage.HTTP, str(error)))
    if isinstance(answer, soap.Fault):
        return replace(seen, error=answer.code.rpartition(":")[2] or "Fault")
    version = ".".join(map(str, answer.version.numbers)) if answer.version else ""
    seen = replace(seen, version=version)
    user = answer.users[0] if answer.users else None
    if answer.code != soap.NO_ERROR or user is None or user.code != soap.NO_ERROR:
        code = answer.code if user is None or answer.code != soap.NO_ERROR else user.code
        return replace(seen, error=code, redirect=(user.redirect if user else "") or "")
    return replace(
        seen, user_dn=user.get("UserDN") or "", ews_inside=user.get("InternalEwsUrl") or "",
        ews_outside=user.get("ExternalEwsUrl") or "",
        mapi=_SAID.get((user.get("MapiHttpEnabled") or "").lower()),
    )  # fmt: skip

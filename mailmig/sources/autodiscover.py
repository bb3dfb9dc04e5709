"""Asks Autodiscover (POX) at an address about a mailbox, as one of the probe accounts.

    seen = await Autodiscover(web, logons, credentials).discover(
        "192.0.2.11", "autodiscover.town.example", "sales@town.example", "probe")

The request says that it knows MAPI/HTTP: without that header no server tells its URLs
(protocols.md 5.1). Redirects are told and not followed.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from mailmig.model.mapi import Discovered
from mailmig.model.web import HTTPS_PORT, Stage, Trouble
from mailmig.sources.web import Web
from mailmig.sources.web_line import LineBroken, Reply
from mailmig.sources.web_session import Credential, Logons, NotOffered, session
from mailmig.wire.autodiscover import pox
from mailmig.wire.documents import BadDocument

PATH: Final = "/autodiscover/autodiscover.xml"
_OK, _UNAUTHORIZED = 200, 401
_SHARED: Final = "delegate"


class Autodiscover:
    """Autodiscover, asked by address. `credentials` by the names that questions use."""

    def __init__(self, web: Web, logons: Logons, credentials: Mapping[str, Credential]) -> None:
        self._web = web
        self._logons = logons
        self._credentials = credentials

    async def discover(
        self, address: str, host: str, mailbox: str, caller: str, port: int = HTTPS_PORT
    ) -> Discovered:
        """What is said about a mailbox; a fault of the server is part of it.

        Raises:
            NotShownAgain, LogonHeld: the password may not be shown (any more).
        """
        seen, stage = Discovered(), Stage.TCP
        headers = (
            ("Content-Type", pox.CONTENT_TYPE), pox.CAPABILITY, ("X-AnchorMailbox", mailbox),
            ("User-Agent", self._web.settings.agent),
        )  # fmt: skip
        limit = self._web.settings.timeout_s
        try:
            async with (
                asyncio.timeout(limit) as clock,
                session(
                    self._web.trusting, self._web.addresses, self._logons,
                    self._credentials[caller], address, host, port,
                ) as web,
            ):  # fmt: skip
                stage = Stage.HTTP
                bare = await web.knock("POST", PATH, headers)
                seen = replace(_named(seen, bare), offered=web.offered)
                if bare.status != _UNAUTHORIZED:
                    return seen
                clock.reschedule(asyncio.get_running_loop().time() + limit)
                let_in = await web.log_on("POST", PATH, headers)
                seen = replace(seen, let_in=let_in)
                if not let_in:
                    return seen
                if web.shown is not None and not web.shown.by_exchange:
                    return _named(seen, web.shown)
                clock.reschedule(asyncio.get_running_loop().time() + limit)
                reply = await web.ask("POST", PATH, headers, pox.Request(mailbox).encode())
                return _read(_named(seen, reply), reply)
        except TimeoutError:
            late = Trouble(stage, f"no answer within {limit:g} s", timed_out=True)
            return replace(seen, trouble=late)
        except LineBroken as error:
            return replace(seen, trouble=error.trouble)
        except NotOffered:
            return seen


def _named(seen: Discovered, reply: Reply) -> Discovered:
    return replace(
        seen, status=reply.status, front_end=reply.header("x-feserver"),
        back_end=reply.header("x-beserver"), by_exchange=reply.by_exchange,
        redirect=reply.header("location") if 300 <= reply.status < 400 else "",
    )  # fmt: skip


def _read(seen: Discovered, reply: Reply) -> Discovered:
    if reply.status != _OK:
        return seen
    try:
        answer = pox.decode(reply.body)
    except BadDocument as error:
        return replace(seen, trouble=Trouble(Stage.HTTP, str(error)))
    if isinstance(answer, pox.Error):
        return replace(seen, error=answer.code)
    if isinstance(answer, pox.Redirect):
        return replace(seen, redirect=answer.url or answer.address or "")
    store = answer.mapi_http.mail_store if answer.mapi_http else None
    exch, web = answer.protocol("EXCH"), answer.protocol("EXPR")
    shared = tuple(
        one.smtp_address
        for one in answer.alternative_mailboxes
        if (one.type or "").lower() == _SHARED and one.smtp_address
    )
    return replace(
        seen, legacy_dn=answer.user.legacy_dn or "", mapi=answer.mapi_http is not None,
        mapi_inside=(store.internal if store else "") or "",
        mapi_outside=(store.external if store else "") or "",
        ews_inside=(exch.get("EwsUrl") if exch else "") or "",
        ews_outside=(web.get("EwsUrl") if web else "") or "",
        server=(exch.get("Server") if exch else "") or "", shared=shared,
    )  # fmt: skip

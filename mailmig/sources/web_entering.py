"""One request behind a logon, told as far as it came.

    came = await Entering(web, logons, credentials).request(
        Way("192.0.2.11", "mail.town.example", "probe@town.example"), "OPTIONS", path, headers)
    came.reply, came.offered, came.let_in, came.trouble

For servers that are asked one thing: those with a dialogue of their own use `web_session` directly.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from mailmig.model.web import HTTPS_PORT, Headers, Stage, Trouble
from mailmig.sources.web import Web
from mailmig.sources.web_line import LineBroken, Reply
from mailmig.sources.web_session import Credential, Logons, NotOffered, session

_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True)
class Way:
    """Where, for which name, and as whom."""

    address: str
    host: str
    caller: str
    port: int = HTTPS_PORT


@dataclass(frozen=True, slots=True)
class Came:
    """How far it came: `reply` is the last answer, `let_in` None where no logon was tried."""

    reply: Reply | None = None
    offered: tuple[str, ...] = ()
    let_in: bool | None = None
    trouble: Trouble | None = None

    @property
    def status(self) -> int:
        """That of the last answer; 0 without one."""
        return self.reply.status if self.reply else 0

    def header(self, name: str) -> str:
        """A header of the last answer, empty where there is none."""
        return self.reply.header(name) if self.reply else ""


class Entering:
    """See the module. `credentials` by the names that callers have."""

    def __init__(self, web: Web, logons: Logons, credentials: Mapping[str, Credential]) -> None:
        self._web = web
        self._logons = logons
        self._credentials = credentials

    async def request(
        self, way: Way, method: str, path: str, headers: Headers, body: bytes = b""
    ) -> Came:
        """Knock, log on, and ask; each step may take the time of a probe.

        What answers the logon is the answer, unless there is a body to be sent to Exchange.

        Raises:
            NotShownAgain, LogonHeld: the password may not be shown (any more).
        """
        came, stage = Came(), Stage.TCP
        headers = (*headers, ("User-Agent", self._web.settings.agent))
        limit = self._web.settings.timeout_s
        try:
            async with (
                asyncio.timeout(limit) as clock,
                session(
                    self._web.trusting, self._web.addresses, self._logons,
                    self._credentials[way.caller], way.address, way.host, way.port,
                ) as web,
            ):  # fmt: skip
                stage = Stage.HTTP
                bare = await web.knock(method, path, headers)
                came = replace(came, reply=bare, offered=web.offered)
                if bare.status != _UNAUTHORIZED:
                    return came
                clock.reschedule(asyncio.get_running_loop().time() + limit)
                let_in = await web.log_on(method, path, headers)
                came = replace(came, let_in=let_in)
                if not let_in:
                    return came
                if web.shown is not None and not (body and web.shown.by_exchange):
                    return replace(came, reply=web.shown)
                clock.reschedule(asyncio.get_running_loop().time() + limit)
                return replace(came, reply=await web.ask(method, path, headers, body))
        except TimeoutError:
            late = Trouble(stage, f"no answer within {limit:g} s", timed_out=True)
            return replace(came, trouble=late)
        except LineBroken as error:
            return replace(came, trouble=error.trouble)
        except NotOffered:
            return came

"""What the reverse proxy outside does with requests: values that a running gateway reads each time.

    rules = world.surroundings.gateway                    # a GatewayRules
    block = Rule(directory="mapi", refuse=404)
    rules.extra.append(block)                             # holds from the next request on
    rules.extra.remove(block)

What is published is let through, everything else gets 404. A healthy gateway has no extra rules.
Of a rule's conditions all must hold, an empty one always does; of several rules that say something
about the same matter the first that says it counts. Times are seconds of ours. What the gateway
refuses by itself has its own `Server` header and page, and none of Exchange's headers (protocols.md
1.8.2). Its certificate is `world.tls.gateway`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

PUBLISHED: Final = (
    "", "owa", "ews", "mapi", "oab", "autodiscover", "rpc", "microsoft-server-activesync",
)  # fmt: skip
Chunks = Enum("Chunks", "WHOLE REFUSED CUT")
"""Chunked answers: gathered and sent with a length, replaced by a 502, cut behind the first chunk."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is different for the requests that it holds for; unset fields change nothing.

    Conditions, in lower case but for the type:
        host: the name that the client asked for, without a port.
        directory: the first part of the path, "mapi".
        method: "options", "rpc_in_data".
        request_type: `X-RequestType` of MAPI over HTTP, "Execute".
        query: a text that the query contains, such as a mailbox's GUID.
    What happens:
        refuse: the gateway answers by itself with this status and asks nobody.
        redirect: 302 to this address; "." is the one that was asked for: a loop.
        members: the servers that it goes to, by their short names.
        no_cookies: `Cookie` does not reach the server. no_set_cookies: `Set-Cookie` no client.
        no_headers: headers of requests, in lower case, that do not reach the server.
        chunks: what becomes of chunked answers.
        longest_s: the answer must be complete after so long, else 504 or a cut connection.
        device_info: the value of an `X-DeviceInfo` that the answer gets.
        challenges: what `WWW-Authenticate` of a 401 offers instead of the server's schemes. A logon
            by NTLM then does not get through: Negotiate alone means Kerberos.
        delay_s: waits before it asks the server.
        hang: never answers, as long as the rule stands.
        cut_after: sends so many bytes of the answer's body, then cuts the connection.
    """

    host: str = ""
    directory: str = ""
    method: str = ""
    request_type: str = ""
    query: str = ""
    refuse: int = 0
    redirect: str = ""
    members: tuple[str, ...] = ()
    no_cookies: bool = False
    no_set_cookies: bool = False
    no_headers: tuple[str, ...] = ()
    chunks: Chunks | None = None
    longest_s: float | None = None
    device_info: str = ""
    challenges: tuple[str, ...] = ()
    delay_s: float = 0.0
    hang: bool = False
    cut_after: int | None = None


@dataclass(slots=True)
class GatewayRules:
    """How the gateway is set now. Faults change it in place.

    `published` are the directories that may be reached from outside, "" is the address without one;
    healthy gateways keep ECP and remote PowerShell to themselves (protocols.md 3). `hosts` are names
    that it serves beside those of clients, in lower case. `members` are short names of servers;
    None: all that the clients' name leads to inside. Without `asks_health` a member that is dead or
    in maintenance stays in rotation: its share of the connections gets 502.
    """

    published: set[str] = field(default_factory=lambda: set(PUBLISHED))
    hosts: set[str] = field(default_factory=set)
    members: tuple[str, ...] | None = None
    asks_health: bool = True
    extra: list[Rule] = field(default_factory=list)

    def holding(
        self, host: str, directory: str, method: str, request_type: str, query: str
    ) -> Iterator[Rule]:
        """The rules for one request, in order; its words as they came."""
        for rule in tuple(self.extra):
            if (
                rule.host in ("", host.lower())
                and rule.directory in ("", directory.lower())
                and rule.method in ("", method.lower())
                and rule.request_type in ("", request_type)
                and rule.query.lower() in query.lower()
            ):
                yield rule

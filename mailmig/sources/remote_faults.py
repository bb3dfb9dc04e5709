"""Faults of WS-Management and statuses of HTTP, as what an admin can do about them.

Codes are those of wsmerror.h; 5 is Windows' own "access denied".
"""

from typing import Final

from mailmig.model.errors import MailmigError
from mailmig.sources.remote_errors import (
    RemotingNotAllowed,
    ServerFault,
    ShellExpired,
    TooManySessions,
    Unreachable,
    WrongEndpoint,
)

TIMED_OUT: Final = 2150858793
UNKNOWN_SHELL: Final = 2150858843
UNKNOWN_RESOURCE: Final = 2150858811
TOO_MANY_SHELLS: Final = 2150859173
ACCESS_DENIED: Final = 5
_NOT_THERE: Final = (404, 405)


def of_fault(
    code: object, reason: str, server: str, port: int, account: str, what: object
) -> MailmigError:
    """`what` is the command or script that ran."""
    if code == UNKNOWN_SHELL:
        return ShellExpired(server, what)
    if code == UNKNOWN_RESOURCE:
        return WrongEndpoint(server, port, reason)
    if code == TOO_MANY_SHELLS:
        return TooManySessions(server, account, reason)
    if code == TIMED_OUT:
        return Unreachable(server, port, "connected, but it did not do it in time")
    if code == ACCESS_DENIED:
        return RemotingNotAllowed(server, account, reason)
    return ServerFault(server, code, reason)


def of_status(status: int, server: str, port: int, account: str, what: object) -> MailmigError:
    if status in _NOT_THERE:
        return WrongEndpoint(server, port, f"HTTP says {status}: there is no such path")
    if status == 403:
        return RemotingNotAllowed(server, account, "HTTP says 403")
    if status == 400:  # the seal belonged to a connection that is gone
        return ShellExpired(server, what)
    return ServerFault(server, f"HTTP {status}", "no reason given")

"""One wrong password per account, whatever a library does by itself.

A connection that breaks is replaced by the libraries without asking, and logs on again; a
session that is given up in the background may have to as well. So every session of an account
watches one `LogonGate`: they log on one at a time, and after the first refusal nobody does.

With Basic each request shows the password. It is not shown again after a refusal, but requests
that were on their way at that moment have shown it already: at most `parallel` of them.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any

import requests
from requests.auth import AuthBase

# Where the libraries log on: pypsrp's negotiating, and requests-ntlm's.
_NEGOTIATING = ("handle_401", "retry_using_http_NTLM_auth")


class LogonClosed(Exception):
    """The password was refused before and is not shown again."""


class LogonGate:
    """Shared by all sessions of one account; `refused` is never taken back."""

    def __init__(self) -> None:
        self.refused = False
        self._turn = Lock()

    def watch(self, session: requests.Session) -> None:
        """From now on this session logs on only as the gate allows."""
        auth: Any = session.auth
        for name in _NEGOTIATING:
            if hasattr(auth, name):
                setattr(auth, name, self._guarded(getattr(auth, name)))
                return
        session.auth = _Watched(self, auth)

    def _guarded(self, log_on: Callable[..., requests.Response]) -> Callable[..., Any]:
        def guarded(*words: Any, **options: Any) -> requests.Response:
            with self._turn:
                if self.refused:
                    raise LogonClosed
                answer = log_on(*words, **options)
                self.refused = answer.status_code == requests.codes.unauthorized
                return answer

        return guarded


class _Watched(AuthBase):
    """Basic: the password goes with every request."""

    def __init__(self, gate: LogonGate, auth: Callable[..., Any]) -> None:
        self._gate = gate
        self._auth = auth

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._gate.refused:
            raise LogonClosed
        request.register_hook("response", self._look)
        made: requests.PreparedRequest = self._auth(request)
        return made

    def _look(self, answer: requests.Response, **_: Any) -> None:
        if answer.status_code == requests.codes.unauthorized:
            self._gate.refused = True

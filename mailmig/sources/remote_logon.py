"""One wrong password per account, whatever a library does by itself.

A connection that breaks is replaced by the libraries without asking, and logs on again; a
session that is given up in the background may have to as well. So everything in a process that
logs on, over whichever protocol, passes one `LogonGate`. Per account and password it lets one log
on alone; once a server has accepted it, others may side by side; after the first refusal nobody
does. A `LogonRecord` holds the same over all processes.

Exactly the configured scheme is used: a server that does not offer it is `SchemeNotOffered`, and
no password was judged. With Basic each request shows the password; requests that were on their way
when an accepted password began to be refused have shown it already.

Two spellings of an account may be two accounts: a refusal of one holds for both, but that one was
let in says nothing about the other.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Any, Final

import requests
from spnego.exceptions import InvalidCredentialError

from mailmig.model.logon import Attempt, LogonRecord, account_key
from mailmig.model.secret import Secret
from mailmig.sources.remote_errors import SchemeNotOffered
from mailmig.sources.remote_http import Routes

# Where the libraries log on: pypsrp's negotiating, and requests-ntlm's.
_NEGOTIATING: Final = ("handle_401", "retry_using_http_NTLM_auth")
# What a server may call each scheme.
_WORDS: Final = {
    "basic": ("basic",),
    "ntlm": ("ntlm", "negotiate"),
    "kerberos": ("kerberos", "negotiate"),
}
_NOTHING_SAID: Final = "HTTP says 401"
# A server that offers Negotiate and does not go on with NTLM.
_BESIDES_NTLM: Final = ("kerberos",)


class LogonClosed(Exception):
    """The password was refused before in this process, by `server`, and is not shown again."""

    def __init__(self, server: str) -> None:
        super().__init__(f"{server} refused the password; it is not shown again")
        self.server = server


class _Standing:
    """What this process knows of one account with one password."""

    def __init__(self) -> None:
        self.turn = Lock()
        self.proven: set[str] = set()  # how the account was spelt where it was let in
        self.refused_by = ""


class LogonGate:
    """Shared by everything in this process that logs on; safe to use from any thread."""

    def __init__(self, record: LogonRecord | None = None) -> None:
        self._record = record
        self._standings: dict[tuple[str, Secret | None], _Standing] = {}
        self._lock = Lock()

    @contextmanager
    def attempt(self, account: str, password: Secret | None, server: str) -> Iterator[Attempt]:
        """Inside, a password may be shown once; say how it ended. Blocks while others log on.

        Without a password (a Kerberos ticket) nothing can be locked, and nothing is recorded.

        Raises:
            LogonClosed: it was refused before in this process.
            LogonHeld: the record holds it back, see there.
        """
        standing = self._standing(account, password)
        spelt = account.casefold()
        with nullcontext() if spelt in standing.proven else standing.turn:
            if standing.refused_by:
                raise LogonClosed(standing.refused_by)
            if spelt not in standing.proven:
                with self._recorded(account, password, server) as noted:
                    yield _Watched(standing, spelt, server, lambda: nullcontext(noted))
                return
        if self._record is not None and password is not None:
            self._record.look(account, password)
        yield _Watched(
            standing, spelt, server, lambda: self._recorded(account, password, server)
        )  # fmt: skip

    def watch(
        self, session: requests.Session, scheme: str, account: str, password: Secret | None,
        server: str,
    ) -> None:  # fmt: skip
        """From now on this session logs on only as the gate allows, and only with `scheme`.

        `Routes` has been mounted into it before.
        """

        def attempt() -> AbstractContextManager[Attempt]:
            return self.attempt(account, password, server)

        auth: Any = session.auth
        routes = session.get_adapter("https://")
        assert isinstance(routes, Routes)
        for name in _NEGOTIATING:
            if hasattr(auth, name):
                log_on = _negotiating(getattr(auth, name), attempt, routes, scheme, server)
                setattr(auth, name, log_on)
                auth.response_hook = _offered_first(auth.response_hook, scheme, server)
                return
        session.send = _showing(  # type: ignore[method-assign]
            session.send, attempt, routes, scheme, server
        )

    def _standing(self, account: str, password: Secret | None) -> _Standing:
        with self._lock:
            key = account_key(account), password
            return self._standings.setdefault(key, _Standing())

    def _recorded(
        self, account: str, password: Secret | None, server: str
    ) -> AbstractContextManager[Attempt]:
        if self._record is None or password is None:
            return nullcontext(_Unrecorded())
        return self._record.attempt(account, password, server)


class _Unrecorded:
    """An attempt of which nothing is kept."""

    def accepted(self) -> None: ...

    def refused(self, reason: str) -> None: ...

    def unshown(self) -> None: ...


class _Watched:
    """An attempt whose end this process learns first, and then the record."""

    def __init__(
        self, standing: _Standing, spelt: str, server: str,
        noted: Callable[[], AbstractContextManager[Attempt]],
    ) -> None:  # fmt: skip
        self._standing = standing
        self._spelt = spelt
        self._server = server
        self._noted = noted
        self._had_been_proven = spelt in standing.proven

    def accepted(self) -> None:
        self._standing.proven.add(self._spelt)
        self._tell(lambda noted: noted.accepted())

    def refused(self, reason: str) -> None:
        """Also for a password that was accepted at first: somebody has changed it."""
        self._standing.refused_by = self._server
        with self._noted() as noted:
            noted.refused(reason)

    def unshown(self) -> None:
        self._tell(lambda noted: noted.unshown())

    def _tell(self, what: Callable[[Attempt], None]) -> None:
        if not self._had_been_proven:
            with self._noted() as noted:
                what(noted)


def _negotiating(
    log_on: Callable[..., requests.Response], attempt: Callable[[], AbstractContextManager[Attempt]],
    routes: Routes, scheme: str, server: str,
) -> Callable[..., requests.Response]:  # fmt: skip
    """Kerberos and NTLM: some requests to and fro, the password (or its proof) in the last."""

    def guarded(*words: Any, **options: Any) -> requests.Response:
        with attempt() as noted:
            routes.shown = False
            try:
                answer = log_on(*words, **options)
            except InvalidCredentialError as error:  # a key distribution centre said no
                noted.refused(str(error))
                raise
            except Exception as error:
                if not routes.shown:
                    noted.unshown()
                if isinstance(error, PermissionError):  # requests-ntlm: there came no challenge
                    raise SchemeNotOffered(server, scheme, _BESIDES_NTLM) from error
                raise
            if answer.status_code != requests.codes.unauthorized:
                _note_entry(noted, answer)
            elif routes.shown or scheme == "kerberos":
                noted.refused(_NOTHING_SAID)
            else:
                noted.unshown()
                raise SchemeNotOffered(server, scheme, _BESIDES_NTLM)
            return answer

    return guarded


def _showing(
    send: Callable[..., requests.Response], attempt: Callable[[], AbstractContextManager[Attempt]],
    routes: Routes, scheme: str, server: str,
) -> Callable[..., requests.Response]:  # fmt: skip
    """Basic: the password goes with every request."""

    def guarded(*words: Any, **options: Any) -> requests.Response:
        with attempt() as noted:
            routes.shown = False
            try:
                answer = send(*words, **options)
            except Exception:
                if not routes.shown:
                    noted.unshown()
                raise
            if answer.status_code != requests.codes.unauthorized:
                _note_entry(noted, answer)
                return answer
            offered = _offered(answer)
            if offered and not offered & set(_WORDS[scheme]):
                noted.unshown()  # nobody looked at it
                raise SchemeNotOffered(server, scheme, sorted(offered))
            noted.refused(_NOTHING_SAID)
            return answer

    return guarded


def _note_entry(noted: Attempt, answer: requests.Response) -> None:
    """A proxy, or a web server without its application, fails without looking at anybody."""
    kind = answer.headers.get("content-type", "").lower()
    if answer.ok or "soap" in kind or "multipart/encrypted" in kind:
        noted.accepted()
    else:
        noted.unshown()


def _offered_first(
    hook: Callable[..., requests.Response], scheme: str, server: str
) -> Callable[..., requests.Response]:
    """Looks at what a server offers before the library does something about it."""

    def looked(answer: requests.Response, **options: Any) -> requests.Response:
        if answer.status_code == requests.codes.unauthorized:
            offered = _offered(answer)
            if not offered & set(_WORDS[scheme]):
                raise SchemeNotOffered(server, scheme, sorted(offered))
        return hook(answer, **options)

    return looked


def _offered(answer: requests.Response) -> set[str]:
    """The schemes of a 401, in lower case. requests joins several headers with commas."""
    header = answer.headers.get("www-authenticate", "")
    return {part.split()[0].lower() for part in header.split(",") if part.split()} & {
        "basic", "ntlm", "negotiate", "kerberos", "digest", "credssp", "bearer",
    }  # fmt: skip

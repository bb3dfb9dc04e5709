"""Why a mailbox cannot be opened over MAPI/HTTP: causes, told apart by what was seen elsewhere.

A cell is one way into one mailbox by one delegate: vantage, name and address, as far as it went. A
case is all cells of a sweep. Each cell that fails gets the first of `ROWS` whose evidence holds:
rows stand from special to general, so that "shared mailboxes are broken from outside" is said only
when nothing else explains it (protocols.md 1.8, 1.8.1, 1.8.2). Nothing here knows users: whoever asks
does so with probe accounts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mailmig.model.finding import INSIDE, OUTSIDE, Answer, Fact, NoAnswer, Severity
from mailmig.model.mapi import Discovered, Step, Walk
from mailmig.model.web import Stage

_OK, _UNAUTHORIZED, _UNAVAILABLE = 200, 401, 503
# "The server behind me failed", as proxies say it.
_GATEWAY_ERRORS: Final = frozenset({502, 503, 504})
# ErrorCode of Autodiscover (protocols.md 5.1): no such address, or nothing configured for it.
_NOBODY: Final = frozenset({500, 501})
# X-ResponseCode (protocols.md 1.3).
_LOST_COOKIE: Final = frozenset({6, 13})
_NO_CONTEXT: Final = 10
# ReturnValue of RopLogon and RopOpenFolder, ErrorCode of Connect (protocols.md 1.6, 1.8).
_ACCESS_DENIED, _LOGIN_PERMISSION, _NOT_FOUND = 0x80070005, 0x3F2, 0x8004010F
_WRONG_SERVER, _IN_TRANSIT = 0x478, 0x50C
_DATABASE: Final = frozenset({0x80040111, 0x6BA})
_DISABLED: Final = frozenset({0x3EB, 0x7D8, 0x96C})
_CONNECT, _EXECUTE = "Connect", frozenset({"RopLogon", "RopOpenFolder"})


@dataclass(frozen=True, slots=True)
class Cell:
    """One way into one mailbox.

    `way` is "name at address": of the walk, or, without one, of the question to Autodiscover.
    `discovered` is None where the name of Autodiscover has no address. `walk` is None where there was
    no place to walk to: Autodiscover named no `host`, or the host has no address.
    """

    vantage: str
    way: str
    delegate: str
    mailbox: str
    discovered: Answer[Discovered] | None = None
    host: str = ""
    walk: Answer[Walk] | None = None

    @property
    def is_own(self) -> bool:
        return self.mailbox == self.delegate

    @property
    def pair(self) -> str:
        return self.mailbox if self.is_own else f"{self.mailbox} opened by {self.delegate}"

    @property
    def settings(self) -> Discovered | None:
        """What Autodiscover says, where it knows the mailbox."""
        said = self.discovered
        return said.value if isinstance(said, Fact) and said.value.legacy_dn else None

    @property
    def walked(self) -> Walk:
        """The walk, an empty one where there is none."""
        return self.walk.value if isinstance(self.walk, Fact) else Walk()

    @property
    def is_good(self) -> bool:
        """The inbox was opened; full access is needed beside, since a logon alone proves nothing."""
        return self.walked.is_whole and bool(self.walked.owner)

    @property
    def failed(self) -> Step | None:
        """The request that failed: of the walk, or the one to Autodiscover."""
        if self.walk is not None or self.settings is not None:
            return self.walked.failed
        if not isinstance(self.discovered, Fact):
            return None
        said = self.discovered.value
        return Step(
            "Autodiscover", said.status, error_code=said.error, trouble=said.trouble,
            by_exchange=said.by_exchange,
        )  # fmt: skip

    @property
    def let_in(self) -> bool | None:
        """Whether the password was accepted; None where it was not shown."""
        if self.walk is not None:
            return self.walked.let_in
        return self.discovered.value.let_in if isinstance(self.discovered, Fact) else None


@dataclass(frozen=True, slots=True)
class Case:
    """All cells, to be looked at from one of them."""

    cells: tuple[Cell, ...]

    def opens(
        self, cell: Cell, *, vantage: str = "", mailbox: str = "", way: str = "",
        anybody: bool = False,
    ) -> bool:  # fmt: skip
        """Whether the delegate (or anybody) opens something: what is given narrows it."""
        return any(
            one.is_good
            and (anybody or one.delegate == cell.delegate)
            and vantage in ("", one.vantage)
            and mailbox in ("", one.mailbox)
            and way in ("", one.way)
            for one in self.cells
        )

    def others_pass(self, cell: Cell) -> bool:
        """Whether the same way leads into another mailbox, or Autodiscover knows another one."""
        others = (
            one for one in self.cells
            if one.vantage == cell.vantage and one.mailbox != cell.mailbox
        )  # fmt: skip
        if cell.walk is None:
            return any(one.settings for one in others)
        return any(one.is_good and one.way == cell.way for one in others)

    def is_dead_end(self, cell: Cell) -> bool:
        """Whether several mailboxes were tried this way, and none was opened or known."""
        if cell.walk is None and self.others_pass(cell):
            return False
        here = [one for one in self.cells if (one.vantage, one.way) == (cell.vantage, cell.way)]
        return len({one.mailbox for one in here}) > 1 and not any(one.is_good for one in here)

    def is_of_mailbox(self, cell: Cell) -> bool:
        """Whether the mailbox fails where others pass, and no address explains that.

        Behind a proxy each connection may meet another server, so one that is broken looks like
        mailboxes that fail now and then.
        """
        if self.is_dead_end(cell) or self.inside(cell, Case.is_dead_end):
            return False
        return any(
            one.mailbox == cell.mailbox and not one.is_good and self.others_pass(one)
            for one in self.cells
        )

    def fails_inside(self, cell: Cell) -> bool:
        """Whether the mailbox was tried inside, and opened nowhere there."""
        tried = any(
            one.vantage == INSIDE and (one.delegate, one.mailbox) == (cell.delegate, cell.mailbox)
            for one in self.cells
        )
        return tried and not self.opens(cell, vantage=INSIDE, mailbox=cell.mailbox)

    def is_known(self, cell: Cell) -> bool:
        """Whether the delegate's password was accepted somewhere."""
        return any(
            one.delegate == cell.delegate
            and (one.let_in or (isinstance(one.discovered, Fact) and one.discovered.value.let_in))
            for one in self.cells
        )

    def inside(self, cell: Cell, holds: Callable[["Case", Cell], bool]) -> bool:
        """Whether something holds at one of the ways inside, while `cell` is outside."""
        return cell.vantage == OUTSIDE and any(
            one.vantage == INSIDE and not one.is_good and holds(self, one) for one in self.cells
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One cause: the key that scripts see, what it is about, its sentence, and its evidence."""

    key: str
    about: Callable[[Case, Cell], str]
    summary: str
    holds: Callable[[Case, Cell], bool]
    severity: Severity = Severity.CRITICAL


def _delegate(case: Case, cell: Cell) -> str:
    return cell.delegate


def _mailbox(case: Case, cell: Cell) -> str:
    return cell.mailbox


def _pair(case: Case, cell: Cell) -> str:
    return cell.pair


def _address(case: Case, cell: Cell) -> str:
    return cell.way


def _address_or_mailbox(case: Case, cell: Cell) -> str:
    return cell.mailbox if case.is_of_mailbox(cell) else cell.way


# What Autodiscover says.


def _no_autodiscover(case: Case, cell: Cell) -> bool:
    return cell.discovered is None


def _off(case: Case, cell: Cell) -> bool:
    return cell.settings is not None and not cell.settings.mapi


def _no_external_url(case: Case, cell: Cell) -> bool:
    return cell.vantage == OUTSIDE and _no_url(cell)


def _no_internal_url(case: Case, cell: Cell) -> bool:
    return cell.vantage != OUTSIDE and _no_url(cell)


def _no_url(cell: Cell) -> bool:
    return cell.settings is not None and cell.walk is None


# What servers say about a mailbox or an account.


def _disabled(case: Case, cell: Cell) -> bool:
    step = cell.failed
    if step is not None and step.name == "Autodiscover" and step.error_code in _NOBODY:
        return True
    connected = cell.walked.step(_CONNECT)
    codes = {cell.walked.logon_value, connected.error_code if connected else None}
    return bool(codes & _DISABLED)


def _wrong_caller(case: Case, cell: Cell) -> bool:
    step = cell.walked.step(_CONNECT)
    return step is not None and step.error_code == _ACCESS_DENIED


def _in_transit(case: Case, cell: Cell) -> bool:
    return cell.walked.logon_value == _IN_TRANSIT


def _moved(case: Case, cell: Cell) -> bool:
    step = cell.failed
    lost = step is not None and step.response_code == _NO_CONTEXT
    return cell.walked.logon_value == _WRONG_SERVER or lost


def _database_down(case: Case, cell: Cell) -> bool:
    return cell.walked.logon_value in _DATABASE


def _no_permission(case: Case, cell: Cell) -> bool:
    walk = cell.walked
    if walk.logon_value in (_LOGIN_PERMISSION, _ACCESS_DENIED):
        return True
    entered = walk.logon_value == 0 and walk.folder_value is not None
    return entered and (walk.folder_value == _NOT_FOUND or not walk.owner)


# What happens on the way.


def _certificate(case: Case, cell: Cell) -> bool:
    trouble = cell.failed.trouble if cell.failed else None
    return trouble is not None and trouble.stage is Stage.TLS and not trouble.timed_out


def _server_down(case: Case, cell: Cell) -> bool:
    step = cell.failed
    if step is None:
        return False
    if step.trouble is not None:
        silent = step.trouble.timed_out and step.trouble.stage is not Stage.HTTP
        return step.trouble.stage is Stage.TCP or silent
    if step.status == _UNAVAILABLE and step.by_exchange:
        return True
    return _is_gateway_error(step) and case.inside(cell, _server_down)


def _late(case: Case, cell: Cell) -> bool:
    trouble = cell.failed.trouble if cell.failed else None
    return trouble is not None and trouble.stage is Stage.HTTP and trouble.timed_out


def _back_end_proxying(case: Case, cell: Cell) -> bool:
    step, connected = cell.failed, cell.walked.step(_CONNECT)
    if step is None or connected is None or not connected.is_good or step.name not in _EXECUTE:
        return False
    broken = (step.status >= 500 and step.by_exchange) or step.error_code in _DATABASE
    return broken and (cell.vantage == INSIDE or case.fails_inside(cell))


def _execute_refused(case: Case, cell: Cell) -> bool:
    step = cell.failed
    return (
        step is not None and step.name in _EXECUTE and step.status == _UNAUTHORIZED
        and bool(cell.let_in)
    )  # fmt: skip


def _scheme(case: Case, cell: Cell) -> bool:
    step = cell.failed
    return (
        step is not None and step.trouble is None and step.status == _UNAUTHORIZED
        and cell.let_in is None
    )  # fmt: skip


def _extended_protection(case: Case, cell: Cell) -> bool:
    return cell.let_in is False and case.is_known(cell)


def _credentials(case: Case, cell: Cell) -> bool:
    """A password that was refused is not shown again, so its other cells have no answer at all."""
    if case.is_known(cell):
        return False
    return any(one.delegate == cell.delegate and one.let_in is False for one in case.cells)


def _cookies(case: Case, cell: Cell) -> bool:
    return cell.failed is not None and cell.failed.response_code in _LOST_COOKIE


def _front_end(case: Case, cell: Cell) -> bool:
    """Before the mailbox matters: its own answers are errors or broken, inside too."""
    step = cell.failed
    if step is None:
        return False
    broken = step.trouble is not None and step.trouble.stage is Stage.HTTP
    early = step.name not in _EXECUTE and step.by_exchange
    sick = early and step.trouble is None and step.status not in (0, _OK, _UNAUTHORIZED)
    if (broken or sick or _is_gateway_error(step)) and case.inside(cell, _front_end):
        return True
    return not case.others_pass(cell) and (sick or (broken and cell.vantage == INSIDE))


def _proxy_blocks(case: Case, cell: Cell) -> bool:
    step = cell.failed
    if step is None:
        return False
    if step.trouble is not None:
        cut = step.trouble.stage is Stage.HTTP and cell.vantage == OUTSIDE
        return cut and not case.fails_inside(cell)
    return step.status not in (0, _OK, _UNAUTHORIZED) and not step.by_exchange


def _server_fault(case: Case, cell: Cell) -> bool:
    step = cell.failed
    return (
        step is not None and bool(step.response_code)
        and (cell.vantage == INSIDE or case.fails_inside(cell))
    )  # fmt: skip


def _is_gateway_error(step: Step) -> bool:
    return step.status in _GATEWAY_ERRORS and not step.by_exchange and step.trouble is None


# What is left.


def _unasked(case: Case, cell: Cell) -> bool:
    return isinstance(cell.discovered, NoAnswer) or isinstance(cell.walk, NoAnswer)


def _shared_outside(case: Case, cell: Cell) -> bool:
    return (
        cell.vantage == OUTSIDE and not cell.is_own
        and case.opens(cell, vantage=OUTSIDE, mailbox=cell.delegate)
        and case.opens(cell, vantage=INSIDE, mailbox=cell.delegate)
        and case.opens(cell, vantage=INSIDE, mailbox=cell.mailbox)
    )  # fmt: skip


def _anything(case: Case, cell: Cell) -> bool:
    return True


ROWS: Final = (
    Row("no_autodiscover", _mailbox,
        "no address is known for the name of Autodiscover: clients do not get further",
        _no_autodiscover),
    Row("mapi_off", _mailbox,
        "Autodiscover has no MAPI/HTTP for it: switched off for the organisation or this mailbox",
        _off),
    Row("external_url", _mailbox,
        "the external URL for MAPI is missing, or its host has no address outside",
        _no_external_url),
    Row("internal_url", _mailbox,
        "the internal URL for MAPI is missing, or its host has no address inside",
        _no_internal_url),
    Row("disabled", _mailbox,
        "it is disabled or disconnected, or may not be used with MAPI", _disabled),
    Row("wrong_caller", _delegate,
        "Autodiscover tells the account a mailbox name that the server takes for somebody else's",
        _wrong_caller),
    Row("in_transit", _mailbox, "its move completes just now", _in_transit, Severity.WARNING),
    Row("moved", _mailbox,
        "it has moved, and Autodiscover still leads to its old place", _moved),
    Row("database_down", _mailbox, "its database is not mounted", _database_down),
    Row("no_permission", _pair, "the account has no full access", _no_permission),
    Row("certificate", _address,
        "TLS fails: the certificate is not good for the name, or nobody trusts it", _certificate),
    Row("server_down", _address_or_mailbox,
        "the server is down: nobody answers, or the front end says 503", _server_down),
    Row("late", _address_or_mailbox,
        "the connection stands, and the answer does not come in time", _late),
    Row("back_end_proxying", _mailbox,
        "proxying between versions is broken: sessions open, and requests within them fail",
        _back_end_proxying),
    Row("execute_refused", _address,
        "the front end opens the session and then refuses every request within it with 401",
        _execute_refused),
    Row("scheme", _address,
        "the scheme that clients log on with is not offered", _scheme),
    Row("extended_protection", _address,
        "the right password is refused here and accepted elsewhere: Extended Protection behind "
        "another certificate", _extended_protection),
    Row("credentials", _delegate,
        "the password is refused, or the account is locked", _credentials),
    Row("cookies", _address, "cookies are lost on the way: something strips them", _cookies),
    Row("front_end", _address,
        "the front end itself answers with errors or breaks off", _front_end),
    Row("proxy_blocks", _address,
        "something in front of Exchange refuses it or cuts the answer", _proxy_blocks),
    Row("server_fault", _mailbox,
        "its server ends requests with an error of its own (X-ResponseCode)", _server_fault),
    Row("unasked", _pair, "it could not be asked", _unasked, Severity.UNKNOWN),
    Row("shared_outside", _pair,
        "shared mailboxes are broken from outside: own mailbox and inside are well",
        _shared_outside),
    Row("unexplained", _pair, "it cannot be opened, and no known cause explains it", _anything),
)  # fmt: skip


def cause(case: Case, cell: Cell) -> Row | None:
    """The row that explains why a cell fails; None for one that is good."""
    return None if cell.is_good else next(row for row in ROWS if row.holds(case, cell))


def causes() -> tuple[tuple[str, str], ...]:
    """(key, sentence) of each row, in the order in which they are tried."""
    return tuple((row.key, row.summary) for row in ROWS)

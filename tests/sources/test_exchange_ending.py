"""A session that waits for a server to end its command can be cut."""

from types import SimpleNamespace
from typing import Any

from pypsrp.complex_objects import PSInvocationState

from mailmig.model.secret import Secret
from mailmig.sources.exchange import ExchangeSettings
from mailmig.sources.exchange_session import Session
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.remote_settings import Scheme


def test_it_is_idle_only_when_the_server_has_ended_the_command() -> None:
    settings = ExchangeSettings(account="a", password=Secret("x"), scheme=Scheme.BASIC)
    session: Any = Session("ex1.invalid", settings, {}, LogonGate())
    session.usable = True
    seen = []
    streams = SimpleNamespace(error=[], warning=[])
    session._shell = SimpleNamespace(
        close=lambda: seen.append(session.idle), streams=streams, state=PSInvocationState.COMPLETED
    )
    outcome = session.end()
    assert seen == [False] and session.idle
    assert not outcome.failed

"""What our clients say with NTLM over TLS is bound to the certificate that they see."""

import asyncio
from pathlib import Path

import pytest

from mailmig.lab.wsman.bindings import TokenChecking
from mailmig.lab.wsman.listening import Listener
from mailmig.model.command import Command
from mailmig.sources.exchange import Exchange
from mailmig.sources.remote_errors import LoginRefused
from mailmig.sources.remote_settings import Scheme
from tests.sources.remote_lab import SERVER, lab
from tests.sources.test_windows import machine

FEW = Command("Get-Mailbox", (("ResultSize", 3),))


def pretend(listener: Listener) -> None:
    """The server believes that clients see another certificate, as behind a proxy."""
    assert listener.tls is not None
    listener.tls.end_point = b"tls-server-end-point:" + bytes(32)


@pytest.mark.parametrize("scheme", [Scheme.NTLM, Scheme.BASIC])
async def test_exchange_is_asked_where_bindings_are_required(
    tmp_path: Path, scheme: Scheme
) -> None:
    async with lab(tmp_path, checking=lambda: TokenChecking.REQUIRE) as server:
        async with Exchange(SERVER, server.settings(scheme=scheme), server.addresses) as exchange:
            async with asyncio.timeout(30):
                assert len([item async for item in exchange.ask(FEW, cut_ok=True)]) == 3
        pretend(server.tls)
        async with Exchange(SERVER, server.settings(scheme=scheme), server.addresses) as exchange:
            if scheme is Scheme.BASIC:  # binds nothing, and nobody asks it to
                assert len([item async for item in exchange.ask(FEW, cut_ok=True)]) == 3
                return
            with pytest.raises(LoginRefused):
                [item async for item in exchange.ask(FEW, cut_ok=True)]
        assert server.accounts.wrong("anna") == 0


async def test_windows_is_asked_where_bindings_are_required(tmp_path: Path) -> None:
    async with machine(tmp_path, checking=lambda: TokenChecking.REQUIRE) as server:
        async with server.client() as windows:
            assert (await windows.run("cluster_nodes")).facts
        pretend(server.tls)
        async with server.client() as windows:
            with pytest.raises(LoginRefused):
                await windows.run("cluster_nodes")
        assert server.accounts.wrong("anna") == 0


async def test_winrm_refuses_wrong_bindings_unless_somebody_turns_that_off(tmp_path: Path) -> None:
    """`CbtHardeningLevel` is "Relaxed" at first."""
    async with lab(tmp_path) as server:
        pretend(server.tls)
        settings = server.settings(scheme=Scheme.NTLM)
        async with Exchange(SERVER, settings, server.addresses) as exchange:
            with pytest.raises(LoginRefused):
                [item async for item in exchange.ask(FEW, cut_ok=True)]
    async with lab(tmp_path, checking=lambda: TokenChecking.NONE) as server:
        pretend(server.tls)
        settings = server.settings(scheme=Scheme.NTLM)
        async with Exchange(SERVER, settings, server.addresses) as exchange:
            assert len([item async for item in exchange.ask(FEW, cut_ok=True)]) == 3

"""Mail clients that we did not write talk to a running lab; EWS finds what they sent."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from tests.lab.mail_servers import OUTSIDER, letter, password
from tests.lab.running_lab import running
from tests.lab.strangers import needs
from tests.lab.web.clients import account, exchange, staff

PATIENCE_S = 20
TOKEN = "mailmig-probe 0815 Grüße"


def node(lab: Lab, port: int = 25) -> tuple[str, int]:
    """Where the first node of the DAG listens."""
    name = lab.organisation.server(lab.organisation.dag.servers[0]).fqdn
    return lab.layout.addresses()[name, port]


def trusted(lab: Lab) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(lab.folder / "ca.pem"))


async def said(*command: str, given: bytes = b"") -> tuple[int | None, str]:
    """How a program ended, and what it said; it is given its input when it is ready to end."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        out, _ = await asyncio.wait_for(process.communicate(given), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(errors="replace")


def swaks(lab: Lab, port: int, to: Mailbox, *words: str) -> tuple[str, ...]:
    address, real = node(lab, port)
    return (
        needs("swaks"), "--server", address, "--port", str(real), "--to", to.address,
        "--header", "Subject: swaks", "--body", "x", "--timeout", "10",
        "--helo", "probe.example", *words,
    )  # fmt: skip


async def find(lab: Lab, mailbox: Mailbox, subject: str, *, delete: bool = False) -> list[Any]:
    """What exchangelib finds in somebody's inbox."""

    def work() -> list[Any]:
        with exchange(lab):
            found = list(account(lab, mailbox).inbox.filter(subject=subject))
            for item in found if delete else ():
                item.delete()
            return found

    return await asyncio.wait_for(asyncio.to_thread(work), PATIENCE_S)


async def test_a_probe_by_aiosmtplib_is_found_and_deleted_by_ews(tmp_path: Path) -> None:
    async with running(tmp_path, cut_over=True) as lab:
        anna = staff(lab)[0]
        host, port = node(lab)
        client = aiosmtplib.SMTP(
            hostname=host, port=port, timeout=10, start_tls=True, tls_context=trusted(lab),
            local_hostname="probe.example",
        )  # fmt: skip
        async with client:
            await client.ehlo()
            assert client.supports_extension("size") and client.supports_extension("auth")
            refused, reply = await client.sendmail(OUTSIDER, [anna.address], letter(TOKEN))
        assert not refused
        assert reply.startswith("2.6.0 <") and reply.endswith("Queued mail for delivery")
        (found,) = await find(lab, anna, TOKEN, delete=True)
        assert found.sender.email_address == OUTSIDER and "Guten Tag" in found.body
        hops = [one.value for one in found.headers if one.name == "Received"]
        assert any("from probe.example (127.0.0.1) by ls-ex1." in hop for hop in hops)
        assert await find(lab, anna, TOKEN) == []


async def test_swaks_logs_on_and_submits(tmp_path: Path) -> None:
    async with running(tmp_path, cut_over=True) as lab:
        anna, bert = staff(lab)[:2]
        logon = (
            "--tls", "--auth", "LOGIN", "--auth-user", anna.account, "--auth-password",
            password(anna), "--from", anna.address,
        )  # fmt: skip
        code, text = await said(*swaks(lab, 587, bert, *logon))
        assert code == 0 and "235 2.7.0 Authentication successful" in text, text
        code, text = await said(*swaks(lab, 587, bert, *logon, "--auth-password", "wrong"))
        assert code and "535 5.7.3" in text, text
        found = list(lab.world.contents.items(bert, "inbox"))
        assert [one.sender for one in found if one.stored] == [anna.address]


async def test_curl_logs_on_with_ntlm(tmp_path: Path) -> None:
    async with running(tmp_path, cut_over=True) as lab:
        anna, bert = staff(lab)[:2]
        host, port = node(lab, 587)
        (tmp_path / "letter").write_bytes(letter("by curl"))

        async def submit(secret: str) -> tuple[int | None, str]:
            return await said(
                needs("curl"), "-sv", f"smtp://{host}:{port}/probe.example", "--ssl-reqd",
                "--cacert", str(lab.folder / "ca.pem"), "--login-options", "AUTH=NTLM",
                "--user", rf"{lab.organisation.netbios}\{anna.account}:{secret}",
                "--mail-from", anna.address, "--mail-rcpt", bert.address,
                "--upload-file", str(tmp_path / "letter"), "--max-time", "10",
            )  # fmt: skip

        code, text = await submit("wrong")
        assert code and "535 5.7.3" in text, text
        code, text = await submit(password(anna))
        assert code == 0 and "AUTH NTLM" in text and "235 2.7.0" in text, text
        assert len(await find(lab, bert, "by curl")) == 1


async def test_swaks_is_told_what_does_not_go(tmp_path: Path) -> None:
    async with running(tmp_path, cut_over=True) as lab:
        anna = staff(lab)[0]
        code, text = await said(*swaks(lab, 587, anna, "--from", OUTSIDER))
        assert code and "530 5.7.57" in text, text
        code, text = await said(
            *swaks(lab, 25, anna, "--from", OUTSIDER, "--to", "x@other.example")
        )
        assert code and "550 5.7.54" in text, text
        lab.faults.on("component-inactive", r"LS-EX1\FrontendTransport")
        code, text = await said(*swaks(lab, 25, anna, "--from", OUTSIDER))
        assert code and "421 4.3.2 Service not active" in text, text


@pytest.mark.parametrize("machine", ["node", "gateway"])
async def test_openssl_sees_the_certificate_behind_starttls(tmp_path: Path, machine: str) -> None:
    async with running(tmp_path, cut_over=True) as lab:
        gateway = lab.layout.gateway
        address, port = (
            node(lab, 587) if machine == "node" else lab.layout.addresses()[gateway.name, 25]
        )
        name = "ls-ex1.ad.lindenstadt.example" if machine == "node" else gateway.name
        code, text = await said(
            needs("openssl"), "s_client", "-starttls", "smtp", "-connect", f"{address}:{port}",
            "-CAfile", str(lab.folder / "ca.pem"), "-verify_hostname", name,
            "-verify_return_error", "-crlf", "-ign_eof", given=b"EHLO x\nQUIT\n",
        )  # fmt: skip
        assert code == 0 and "Verify return code: 0 (ok)" in text, text
        assert "250-SIZE 37748736" in text and "250-STARTTLS" not in text, text


async def test_the_gateway_hands_swaks_mail_to_a_node(tmp_path: Path) -> None:
    async with running(tmp_path, cut_over=True) as lab:
        anna = staff(lab)[0]
        gateway = lab.layout.gateway
        address, port = lab.layout.addresses()[gateway.name, 25]
        code, text = await said(
            needs("swaks"), "--server", address, "--port", str(port), "--to", anna.address,
            "--from", OUTSIDER, "--header", "Subject: outside", "--timeout", "10",
            "--helo", "probe.example", "--tls",
        )  # fmt: skip
        assert code == 0 and "250 2.0.0 Ok: queued as" in text, text
        (found,) = await find(lab, anna, "outside")
        hops = [one.value for one in found.headers if one.name == "Received"]
        assert len(hops) >= 2 and f"by {gateway.name} with ESMTP (version=TLS)" in hops[-1]


async def test_a_machine_that_goes_and_comes_takes_mail_again(tmp_path: Path) -> None:
    async with running(tmp_path, cut_over=True) as lab:
        anna = staff(lab)[0]

        async def until(wanted: str) -> str:
            """What swaks says, as soon as it says this."""
            for _ in range(20):
                _, text = await said(*swaks(lab, 25, anna, "--from", OUTSIDER))
                if wanted in text:
                    return text
            raise AssertionError(text)

        await until("250 2.6.0 <")
        lab.faults.on("server-down", "LS-EX1")
        await until("Connection refused")
        lab.faults.off("server-down", "LS-EX1")
        lab.world.advance(timedelta(minutes=5))
        await until("250 2.6.0 <")

"""Faults of certificates and TLS versions, seen by Python's own TLS at each port of each server."""

import asyncio
import smtplib
import socket
import ssl
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtensionOID

from mailmig.lab.faults.machines import AlreadyChanged
from mailmig.lab.faults.switchboard import BadTarget, kinds
from mailmig.lab.running.whole import Lab
from tests.lab.asking import Shell

# Tests share the event loop in which the lab lives.
in_lab = pytest.mark.asyncio(loop_scope="module")
EX1, EX2 = (f"ls-{name}.ad.lindenstadt.example" for name in ("ex1", "ex2"))
NAMESPACE, DISCOVERY = "mail.lindenstadt.example", "autodiscover.lindenstadt.example"
HTTPS, SMTP = 443, 25
NAME_WRONG = "Hostname mismatch"


def trusting(lab: Lab) -> ssl.SSLContext:
    """A client that knows the lab's authority; Debian's own lowest strength of keys."""
    context = ssl.create_default_context(cafile=str(lab.folder / "ca.pem"))
    context.set_ciphers("DEFAULT:@SECLEVEL=2")
    return context


def connected(
    lab: Lab, server: str, port: int, context: ssl.SSLContext, name: str
) -> ssl.SSLSocket:
    """A handshake at one server's address with the name that is asked for. Raises `ssl.SSLError`."""
    machine = next(one for one in lab.layout.exchange if one.name == server)
    where = machine.address, lab.layout.port(port)
    if port == HTTPS:
        return context.wrap_socket(socket.create_connection(where, 5), server_hostname=name)
    smtp = smtplib.SMTP(*where, timeout=5)
    smtp._host = name  # type: ignore[attr-defined]  # what starttls checks against
    smtp.starttls(context=context)
    assert isinstance(smtp.sock, ssl.SSLSocket)
    return smtp.sock


def verdict(lab: Lab, server: str, port: int, name: str = NAMESPACE) -> str:
    """ "ok", or what a client says that verifies everything."""
    try:
        connected(lab, server, port, trusting(lab), name).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message.partition(",")[0]
    return "ok"


def seen(lab: Lab) -> dict[str, str]:
    """Both services of both nodes, and autodiscover's name at the first."""
    return {
        "iis 1": verdict(lab, EX1, HTTPS), "iis 2": verdict(lab, EX2, HTTPS),
        "smtp 1": verdict(lab, EX1, SMTP), "smtp 2": verdict(lab, EX2, SMTP),
        "discovery 1": verdict(lab, EX1, HTTPS, DISCOVERY),
    }  # fmt: skip


def certificate(lab: Lab, server: str, port: int) -> x509.Certificate:
    """The certificate as it is shown, verified or not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with connected(lab, server, port, context, NAMESPACE) as found:
        der = found.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def shown(lab: Lab) -> list[x509.Certificate]:
    return [certificate(lab, EX1, port) for port in (HTTPS, SMTP)]


WELL = dict.fromkeys(("iis 1", "iis 2", "smtp 1", "smtp 2", "discovery 1"), "ok")
EXPIRED, NO_ISSUER = "certificate has expired", "unable to get local issuer certificate"
# fault: its target, and what is not "ok"
SEEN: dict[str, tuple[str, dict[str, str]]] = {
    "certificate-expired": ("LS-EX1", {"iis 1": EXPIRED, "smtp 1": EXPIRED, "discovery 1": EXPIRED}),
    "certificate-wrong-names": (r"LS-EX1\IIS", {"iis 1": NAME_WRONG, "discovery 1": NAME_WRONG}),
    "certificate-name-missing": (r"ls-ex1\iis", {"discovery 1": NAME_WRONG}),
    "certificate-unknown-authority": (r"LS-EX2\SMTP", {"smtp 2": NO_ISSUER}),
    "certificate-chain-incomplete": (r"LS-EX2\IIS", {"iis 2": NO_ISSUER}),
    "certificate-small-key": (r"LS-EX1\SMTP", {"smtp 1": "EE certificate key too weak"}),
    "certificate-expires": ("LS-EX1", {}),
}  # fmt: skip


@in_lab
@pytest.mark.parametrize("name", SEEN)
async def test_clients_see_the_certificate_while_the_fault_is_on(lab: Lab, name: str) -> None:
    target, told = SEEN[name]
    before = await asyncio.to_thread(shown, lab)
    lab.faults.on(name, target)
    found = await asyncio.to_thread(seen, lab)
    assert {one: said.partition(" for")[0] for one, said in found.items()} == WELL | told
    assert len(Shell(lab.world, "LS-EX1").objects("Get-ExchangeCertificate")) >= 4
    lab.faults.off(name, target)
    assert await asyncio.to_thread(seen, lab) == WELL
    assert await asyncio.to_thread(shown, lab) == before
    for wrong in (r"LS-EX1\POP", "nobody", r"LS-EX1\\"):
        with pytest.raises(BadTarget):
            lab.faults.on(name, wrong)


@in_lab
async def test_a_certificate_that_ends_soon_says_when(lab: Lab) -> None:
    def left(server: str) -> timedelta:
        return certificate(lab, server, HTTPS).not_valid_after_utc - datetime.now(UTC)

    lab.faults.on("certificate-expires", "LS-EX1")
    here, there = await asyncio.to_thread(lambda: (left(EX1), left(EX2)))
    assert timedelta(days=19) < here <= timedelta(days=20) < timedelta(days=60) < there


@in_lab
async def test_a_small_key_is_one_of_rsa_and_small(lab: Lab) -> None:
    lab.faults.on("certificate-small-key", r"LS-EX1\IIS")
    key = (await asyncio.to_thread(certificate, lab, EX1, HTTPS)).public_key()
    assert isinstance(key, rsa.RSAPublicKey) and key.key_size == 1024
    other = (await asyncio.to_thread(certificate, lab, EX1, SMTP)).public_key()
    assert not isinstance(other, rsa.RSAPublicKey)


@in_lab
async def test_what_is_shown_stands_in_the_store_of_the_server(lab: Lab) -> None:
    def stored() -> dict[str, str]:
        found = lab.world.certificates.on(lab.organisation.server("LS-EX1"))
        return {one.thumbprint: one.services for one in found}

    before = stored()
    assert "IIS, SMTP" in before.values()
    lab.faults.on("certificate-wrong-names", r"LS-EX1\IIS")
    found = await asyncio.to_thread(certificate, lab, EX1, HTTPS)
    names = found.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert isinstance(names, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["intranet.ad.lindenstadt.example"]
    new = {one: services for one, services in stored().items() if one not in before}
    assert list(new.values()) == ["IIS"]
    lab.faults.all_off()
    assert stored() == before


@in_lab
async def test_one_service_has_one_fault_of_its_certificate_at_a_time(lab: Lab) -> None:
    lab.faults.on("certificate-expired", r"LS-EX1\IIS")
    with pytest.raises(AlreadyChanged):
        lab.faults.on("certificate-wrong-names", "LS-EX1")
    lab.faults.on("certificate-wrong-names", r"LS-EX1\SMTP")
    lab.faults.on("tls-old-versions", "LS-EX1")


def versions(lab: Lab, server: str, port: int) -> list[str]:
    """The versions of TLS with which a handshake succeeds, one by one."""
    found = []
    for version in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"):
        context = ssl.create_default_context(cafile=str(lab.folder / "ca.pem"))
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():  # Python warns of old versions, which are meant here
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        try:
            connected(lab, server, port, context, NAMESPACE).close()
        except (ssl.SSLError, ConnectionError, smtplib.SMTPServerDisconnected):
            continue
        found.append(version)
    return found


MODERN = ["TLSv1_2", "TLSv1_3"]
VERSIONS: dict[str, tuple[str, int, list[str]]] = {
    "tls-old-versions": (r"LS-EX1\IIS", HTTPS, ["TLSv1", "TLSv1_1", *MODERN]),
    "tls-12-off": (r"LS-EX1\SMTP", SMTP, ["TLSv1_3"]),
}


@in_lab
@pytest.mark.parametrize("name", VERSIONS)
async def test_versions_can_be_had_as_the_fault_says(lab: Lab, name: str) -> None:
    target, port, told = VERSIONS[name]

    async def found() -> list[list[str]]:
        ways: list[Any] = [(EX1, port), (EX1, HTTPS + SMTP - port), (EX2, port)]
        return [await asyncio.to_thread(versions, lab, *way) for way in ways]

    assert await found() == [MODERN, MODERN, MODERN]
    lab.faults.on(name, target)
    assert await found() == [told, MODERN, MODERN]
    lab.faults.off(name, target)
    assert await found() == [MODERN, MODERN, MODERN]


def test_every_fault_of_tls_is_tried_here() -> None:
    elsewhere = {
        "auth-certificate-expired", "auth-certificate-missing", "transport-certificate-missing",
        "back-end-certificate-missing", "gateway-certificate-expired",
        "gateway-certificate-unknown-authority", "gateway-certificate-wrong-names",
    }  # fmt: skip
    mine = {name for name, kind in kinds().items() if kind.family == "tls"}
    assert mine == {*SEEN, *VERSIONS, *elsewhere}


@in_lab
async def test_the_servers_own_certificate_for_smtp_is_gone_from_its_store(lab: Lab) -> None:
    def own(server: str) -> list[str]:
        found = lab.world.certificates.on(lab.organisation.server(server))
        signed = [one for one in found if one.parsed.issuer == one.parsed.subject]
        return [one.services for one in signed]

    assert own("LS-EX1") == own("LS-EX2") == ["IIS, SMTP", "SMTP", "None"]
    listed = len(Shell(lab.world, "LS-EX1").objects("Get-ExchangeCertificate"))
    lab.faults.on("transport-certificate-missing", "LS-EX1")
    assert (own("LS-EX1"), own("LS-EX2")) == (["SMTP", "None"], ["IIS, SMTP", "SMTP", "None"])
    assert len(Shell(lab.world, "LS-EX1").objects("Get-ExchangeCertificate")) == listed - 1
    with pytest.raises(BadTarget):
        lab.faults.on("transport-certificate-missing", "nobody")
    lab.faults.all_off()
    assert own("LS-EX1") == ["IIS, SMTP", "SMTP", "None"]

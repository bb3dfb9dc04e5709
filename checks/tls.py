"""Certificates, as clients see them: at every address, for the name that they meant."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from mailmig.api import (
    Answer,
    Ask,
    Certificate,
    Check,
    Fact,
    Finding,
    GreetTls,
    Handshake,
    Severity,
    WayIn,
    limit,
    ways_in,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What one address showed for one name."""

    way: WayIn
    answer: Answer[Handshake]


async def gather(ask: Ask) -> tuple[Shown, ...]:
    ways = await ways_in(ask)
    answers = await ask.each(GreetTls(way.vantage, way.address, way.name) for way in ways)
    return tuple(Shown(way, answer) for way, answer in zip(ways, answers, strict=True))


@dataclass(frozen=True, slots=True)
class ShownOfAll:
    """What all addresses showed, and the names that clients use."""

    client_names: tuple[str, ...]
    shown: tuple[Shown, ...]


async def gather_all(ask: Ask) -> ShownOfAll:
    return ShownOfAll(ask.scope.client_names, await gather(ask))


def judge_chain(seen: tuple[Shown, ...]) -> Iterator[Finding]:
    """The certificate at every address is good for the name and signed by somebody clients trust.

    Source: health.md 2.9, tls_names and tls_chain.
    To do: put a certificate with all client names on that server (Enable-ExchangeCertificate
    -Services IIS), with the chain of its authority.
    """
    for one in seen:
        subject = f"{one.way.name} at {one.way.address}"
        if not isinstance(one.answer, Fact):
            yield Finding(subject, Severity.UNKNOWN, one.answer.reason, one.way.vantage)
            continue
        said = one.answer.value
        evidence = _evidence(said.certificate)
        if said.untrusted:
            yield Finding(subject, Severity.CRITICAL, said.untrusted, one.way.vantage, evidence)
        elif said.trouble is not None:
            reason = f"no certificate was shown: {said.trouble.reason}"
            yield Finding(subject, Severity.UNKNOWN, reason, one.way.vantage)
        else:
            yield Finding(subject, Severity.OK, "good for the name", one.way.vantage, evidence)


@dataclass(frozen=True, slots=True)
class ExpiryLimits:
    """How long before its end a certificate is complained about."""

    warning_days: int = limit(60, "days", "time enough to order one")
    critical_days: int = limit(30, "days", "it has to be done now")


def judge_expiry(seen: tuple[Shown, ...], limits: ExpiryLimits) -> Iterator[Finding]:
    """No certificate that clients see ends soon.

    Source: health.md 2.9, tls_expiry, with the limits of HealthChecker.
    To do: renew it, and put the new one on both servers.
    """
    for one in seen:
        if not isinstance(one.answer, Fact) or one.answer.value.certificate is None:
            continue
        found = one.answer.value.certificate
        left = found.not_after - one.answer.seen_at
        severity, summary = Severity.OK, f"good for {left.days} days more"
        if left < timedelta():
            severity, summary = Severity.CRITICAL, f"it ended on {found.not_after:%Y-%m-%d}"
        elif left < timedelta(days=limits.critical_days):
            severity = Severity.CRITICAL
        elif left < timedelta(days=limits.warning_days):
            severity = Severity.WARNING
        subject = f"{one.way.name} at {one.way.address}"
        yield Finding(subject, severity, summary, one.way.vantage, _evidence(found))


def judge_same(seen: ShownOfAll) -> Iterator[Finding]:
    """Users do not notice which server they reach: the same certificate at each address of a name.

    Two certificates of one issuer for the same client names work too, until one is forgotten at
    the next renewal; what else stands in them, such as the server's own name, does not matter.

    Source: health.md 2.9, tls_same.
    To do: export the certificate with its key from one server and import it on the other.
    """
    shown: dict[tuple[str, str], dict[str, Certificate]] = {}
    for one in seen.shown:
        if isinstance(one.answer, Fact) and one.answer.value.certificate is not None:
            here = shown.setdefault((one.way.vantage, one.way.name), {})
            here[one.way.address] = one.answer.value.certificate
    for (vantage, name), here in shown.items():
        if len(here) < 2:
            continue
        evidence = tuple((address, found.thumbprint) for address, found in here.items())
        kinds = {
            (tuple(covers(found, one) for one in seen.client_names), found.issuer)
            for found in here.values()
        }
        if len({found.thumbprint for found in here.values()}) == 1:
            yield Finding(name, Severity.OK, "one certificate at every address", vantage, evidence)
        elif len(kinds) == 1:
            summary = "several certificates of one issuer for the same client names"
            yield Finding(name, Severity.WARNING, summary, vantage, evidence)
        else:
            summary = "certificates for other client names, or of other issuers"
            yield Finding(name, Severity.CRITICAL, summary, vantage, evidence)


def covers(found: Certificate, name: str) -> bool:
    """Whether a certificate is for a name; a star stands for one label."""
    return name in found.names or f"*.{name.partition('.')[2]}" in found.names


def _evidence(found: Certificate | None) -> tuple[tuple[str, str], ...]:
    if found is None:
        return ()
    return (
        ("subject", found.subject), ("issuer", found.issuer), ("names", ", ".join(found.names)),
        ("thumbprint", found.thumbprint), ("until", f"{found.not_after:%Y-%m-%d}"),
    )  # fmt: skip


chain = Check(
    id="tls.chain",
    question="Does every address show a certificate that clients trust, for the right name?",
    gather=gather,
    judge=judge_chain,
)
expiry = Check(
    id="tls.expiry",
    question="How long are the certificates good?",
    gather=gather,
    judge=judge_expiry,
    limits=ExpiryLimits(),
)
same = Check(
    id="tls.same",
    question="Is it the same certificate at every address?",
    gather=gather_all,
    judge=judge_same,
)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key has to be at least."""

    rsa_bits: int = limit(2048, "bits", "shorter ones are refused by today's clients")


def judge_key(seen: tuple[Shown, ...], limits: KeyLimits) -> Iterator[Finding]:
    """Keys are long enough, and certificates are signed with SHA-2.

    Source: health.md 2.9, tls_key.
    To do: renew the certificate with an RSA key of 2048 bits and a SHA-256 signature.
    """
    for one in seen:
        if not isinstance(one.answer, Fact) or one.answer.value.certificate is None:
            continue
        found = one.answer.value.certificate
        subject = f"{one.way.name} at {one.way.address}"
        kind, _, size = found.key.partition(" ")
        weak = []
        if kind == "RSA" and int(size) < limits.rsa_bits:
            weak.append(f"its key is {found.key}")
        if found.signature_hash in ("md5", "sha1"):
            weak.append(f"it is signed with {found.signature_hash}")
        severity = Severity.WARNING if weak else Severity.OK
        summary = ", ".join(weak) or f"{found.key}, {found.signature_hash}"
        yield Finding(subject, severity, summary, one.way.vantage, _evidence(found))


key = Check(
    id="tls.key",
    question="Are keys and signatures of the certificates strong enough?",
    gather=gather,
    judge=judge_key,
    limits=KeyLimits(),
)

"""What is seen at an HTTPS or TLS port, asked by address: pages, certificates, troubles.

Each question names the address that is connected to and the name that is meant (SNI and Host), so
that every address behind a name is proven by itself. Names of headers are in lower case; times are
seconds. Certificates' times are aware.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import ClassVar

from mailmig.model.finding import Question

HTTPS_PORT = 443

Headers = tuple[tuple[str, str], ...]


class Stage(Enum):
    """How far it came before it failed."""

    TCP = "tcp"
    TLS = "tls"
    HTTP = "http"
    SMTP = "smtp"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no answer: at which stage, and in words."""

    stage: Stage
    reason: str
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as it was shown. `names` are the DNS names and addresses that it is for.

    `thumbprint` is SHA-1 in upper-case hex, as Exchange and Windows print it. `key` is "RSA 2048"
    or "EC secp256r1".
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    thumbprint: str
    key: str
    signature_hash: str


@dataclass(frozen=True, slots=True)
class Handshake:
    """What came of a TLS greeting.

    `untrusted` says why the certificate is not good for the name, empty where it is. `certificate`
    is None only where there is `trouble`. `version` is "TLSv1.3".
    """

    certificate: Certificate | None = None
    untrusted: str = ""
    version: str = ""
    cipher: str = ""
    connect_s: float = 0.0
    tls_s: float = 0.0
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One answer over HTTP; `status` is 0 where there is `trouble`.

    `body` are the first characters, read as UTF-8; `truncated` where there was more.
    """

    status: int = 0
    reason: str = ""
    headers: Headers = ()
    body: str = ""
    truncated: bool = False
    connect_s: float = 0.0
    tls_s: float = 0.0
    answer_s: float = 0.0
    trouble: Trouble | None = None

    def header(self, name: str) -> str:
        """All values of a header, joined by commas; empty where there is none."""
        return ", ".join(value for key, value in self.headers if key == name.lower())


@dataclass(frozen=True)
class FetchPage(Question[Page]):
    """GET `path` at an address, without a logon; redirects are not followed."""

    answer: ClassVar = Page
    protocol: ClassVar = "https"

    address: str
    host: str
    path: str
    port: int = HTTPS_PORT

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class GreetTls(Question[Handshake]):
    """Greet over TLS; `host` goes as SNI and is what the certificate has to be for.

    `start` is "" where TLS comes first, "smtp" where it comes behind STARTTLS.
    """

    answer: ClassVar = Handshake
    protocol: ClassVar = "tls"

    address: str
    host: str
    port: int = HTTPS_PORT
    start: str = ""

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"

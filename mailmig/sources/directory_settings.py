"""What `[directory]` of the configuration says: which controllers, who logs on, and how."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mailmig.model.secret import Secret
from mailmig.model.settings import setting


class Logon(Enum):
    """How to log on at a domain controller. Exactly one is tried; nothing else is fallen back to."""

    SIMPLE = "simple"
    NTLM = "ntlm"
    KERBEROS = "kerberos"


class Encryption(Enum):
    """What protects a connection to a domain controller."""

    LDAPS = "ldaps"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """`[directory]`: which domain controllers are asked, by whom, and how patiently."""

    servers: tuple[str, ...] = setting(
        (),
        "Domain controllers by their full names; the first that answers is asked. "
        "Without them: those that DNS names for the domain of the account, else of this machine.",
        example=["ls-dc1.ad.lindenstadt.example", "ls-dc2.ad.lindenstadt.example"],
    )
    account: str = setting(
        "", "Account that logs on: DOMAIN\\account or account@domain. "
        "Without it: the Kerberos ticket of whoever runs mailmig.",
        example="svc-mailmig@ad.lindenstadt.example",
    )  # fmt: skip
    password: Secret | None = setting(
        None, "Its password, as a reference.", example={"file": "/run/credentials/mailmig"}
    )
    logon: Logon = setting(
        Logon.SIMPLE,
        "How to log on: simple (the password inside TLS), ntlm or kerberos; only this one is "
        "tried, once.",
    )
    encryption: Encryption = setting(
        Encryption.LDAPS, "ldaps, starttls, or none, which has to be asked for."
    )
    ca_file: Path | None = setting(
        None, "File with the authorities that signed the controllers' certificates. "
        "Without it: those that this machine trusts.", example="/etc/mailmig/ca.pem",
    )  # fmt: skip
    unverified: bool = setting(False, "Do NOT check the controllers' certificates.")
    timeout_s: float = setting(30.0, "Seconds to wait for one page or one logon.")
    connect_timeout_s: float = setting(5.0, "Seconds to wait for a connection.")
    page_size: int = setting(1000, "Objects to a page; controllers give 1000 at most.")

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.connect_timeout_s <= 0 or self.page_size < 1:
            raise ValueError("time limits are above 0, page_size is at least 1")
        if self.unverified and self.ca_file is not None:
            raise ValueError("unverified and ca_file exclude each other")
        if self.account and self.logon is not Logon.KERBEROS and self.password is None:
            raise ValueError(f"{self.logon.value} needs a password beside the account")

"""What every channel over WS-Management is told: who logs on, how, and how patiently we wait."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mailmig.model.secret import Secret
from mailmig.model.settings import setting


class Scheme(Enum):
    """How to log on. Exactly one is tried; nothing else is fallen back to."""

    KERBEROS = "kerberos"
    NTLM = "ntlm"
    BASIC = "basic"


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """The part that Exchange's remote PowerShell and WinRM have in common."""

    account: str = setting(
        "", "Account that logs on. Without it: the Kerberos ticket of whoever runs mailmig.",
        example="svc-mailmig@ad.lindenstadt.example",
    )  # fmt: skip
    password: Secret | None = setting(
        None, "Its password, as a reference.", example={"file": "/run/credentials/mailmig"}
    )
    scheme: Scheme = setting(
        Scheme.KERBEROS, "How to log on: kerberos, ntlm or basic; only this one is tried, once."
    )
    tls: bool = setting(True, "HTTPS. Without it messages are sealed by kerberos or ntlm.")
    ca_file: Path | None = setting(
        None, "File with the authorities that signed the servers' certificates. "
        "Without it: those that this machine trusts.", example="/etc/mailmig/ca.pem",
    )  # fmt: skip
    unverified: bool = setting(False, "Do NOT check the servers' certificates.")
    connect_timeout_s: float = setting(10.0, "Seconds to wait for a connection.")
    answer_timeout_s: float = setting(
        60.0, "Seconds to wait for an answer; a working server says at least that it works."
    )
    patience_s: float = setting(
        900.0, "Seconds that a command may run without giving anything."
    )  # fmt: skip
    parallel: int = setting(3, "How many questions may be open at one server at a time.")

    def __post_init__(self) -> None:
        if min(self.connect_timeout_s, self.answer_timeout_s, self.patience_s) <= 0:
            raise ValueError("the times are above 0")
        if self.parallel < 1:
            raise ValueError("parallel is at least 1")
        if self.scheme is Scheme.BASIC and not self.tls:
            raise ValueError("basic without tls would show the password to everybody on the way")
        if self.scheme is not Scheme.KERBEROS and not (self.account and self.password):
            raise ValueError(f"{self.scheme.value} needs an account and a password")
        if self.unverified and self.ca_file is not None:
            raise ValueError("unverified and ca_file exclude each other")

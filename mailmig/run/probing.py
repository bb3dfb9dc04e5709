"""The probe accounts of the configuration: the only ones that checks log on with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailmig.model.scope import ProbePair
from mailmig.model.secret import Secret
from mailmig.model.settings import setting
from mailmig.sources.remote_settings import Scheme
from mailmig.sources.web_session import Credential


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """`[probe]`: mailboxes of ours, each with its account and the shared mailboxes that it opens."""

    scheme: Scheme = setting(
        Scheme.NTLM,
        "How probes log on to web servers: kerberos, ntlm or basic; only this is tried.",
    )
    accounts: dict[str, str] = setting(
        {}, "The account of each probe mailbox, by the mailbox's address.",
        example={"probe-se@town.example": "TOWN\\probe-se"},
    )  # fmt: skip
    passwords: dict[str, Secret] = setting(
        {}, "Their passwords, as references.",
        example={"probe-se@town.example": {"file": "/run/credentials/probe-se"}},
    )  # fmt: skip
    shared: dict[str, tuple[str, ...]] = setting(
        {}, "The shared probe mailboxes that each of them may open.",
        example={"probe-se@town.example": ["probe-shared-2016@town.example"]},
    )  # fmt: skip
    sender: str = setting(
        "", "Whom probe messages come from. Without it the mailbox writes to itself; a gateway that "
        "refuses your own domain from outside wants somebody else.", example="probe@partner.example",
    )  # fmt: skip
    delivery_s: float = setting(
        20.0, "Seconds that a probe message is waited for; below [check] deadline_s."
    )

    def __post_init__(self) -> None:
        if self.delivery_s <= 0:
            raise ValueError("delivery_s is above 0")
        for name in (*self.accounts, *self.passwords, *self.shared):
            if name not in self.accounts:
                raise ValueError(f"accounts: it has no account for {name}")
            if name not in self.passwords:
                raise ValueError(f"passwords: it has no password for {name}")


def credentials(settings: ProbeSettings) -> Mapping[str, Credential]:
    """By the address of the mailbox."""
    return {
        address.lower(): Credential(account, settings.passwords[address], settings.scheme)
        for address, account in settings.accounts.items()
    }


def pairs(settings: ProbeSettings) -> Iterator[ProbePair]:
    """Each delegate with each shared mailbox, and alone where there is none."""
    for delegate in settings.accounts:
        for shared in settings.shared.get(delegate, ()) or ("",):
            yield ProbePair(delegate.lower(), shared.lower())

"""New-Mailbox for people and shared mailboxes, and Remove-Mailbox.

Whoever is made can log on at once, with the password that came as a secure string; the account of
a shared mailbox is disabled. Here the user principal name is the account's name in the domain, and
the address the alias in one of the mail domains; another wish is refused with the lab's own error,
as is a mailbox without a database, for which Exchange would choose one. Words of errors are from
memory [MEM].
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from mailmig.lab import newcomers
from mailmig.lab.accounts import Account, BadAccount
from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.mailboxes_changed import meant
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.exchange.calls import not_simulated
from mailmig.lab.people import ascii_name
from mailmig.lab.rows import ORDINARY
from mailmig.model.directory import Kind
from mailmig.model.secret import Secret

# Of Active Directory: names of accounts, and of objects.
_ACCOUNT_LENGTH, _NAME_LENGTH = 20, 64
_TAKEN: Final = "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException"
_IN_USE: Final = "Microsoft.Exchange.Data.Directory.ProxyAddressExistsException"
_WEAK: Final = "Microsoft.Exchange.Data.Directory.ADInvalidPasswordException"
_INVALID: Final = "Microsoft.Exchange.Data.DataValidationException"


def _new(ask: Ask) -> Iterator[Given]:
    name = str(ask.bound.get("Name"))
    alias = str(ask.bound.get("Alias") or ascii_name(name.replace(" ", ".")))
    account = _account(ask, alias)
    domain = _domain(ask, alias)
    _refuse_long(ask, "Name", name, _NAME_LENGTH)
    _refuse_taken(ask, name, alias, account, domain)
    database = ask.database("Database")
    if database is None:
        raise Failed(not_simulated("New-Mailbox without -Database"))
    if ask.bound.is_on("ResetPasswordOnNextLogon"):
        raise Failed(not_simulated("New-Mailbox -ResetPasswordOnNextLogon:$true"))
    kind = Kind.SHARED if ask.bound.is_on("Shared") else Kind.USER
    who = _owner(ask, account)
    if ask.bound.is_on("WhatIf"):
        return
    mailbox = newcomers.add(
        ask.organisation, kind, account, database.name, name=name, alias=alias, domain=domain,
        display_name=str(ask.bound.get("DisplayName") or ""),
    )  # fmt: skip
    if kind is Kind.USER:
        ask.world.accounts.add(who)
    make = partial(ask.view.recipients.mailbox, mailbox)
    yield Row("Get-Mailbox", mailbox.guid, None, make)


def _account(ask: Ask, alias: str) -> str:
    """The account's name, which the principal name has to agree with. Raises `Failed`."""
    principal = str(ask.bound.get("UserPrincipalName"))
    user, _, domain = principal.partition("@")
    account = str(ask.bound.get("SamAccountName") or user or alias)
    _refuse_long(ask, "SamAccountName", account, _ACCOUNT_LENGTH)
    if not user or not domain:
        raise ask.failed(
            f"The user principal name '{principal}' isn't valid: it has the form user@domain.",
            _INVALID,
        )
    if (user.lower(), domain.lower()) != (account.lower(), ask.organisation.domain):
        own = f"{account}@{ask.organisation.domain}"
        raise Failed(not_simulated(f"-UserPrincipalName {principal} of an account that is {own}"))
    return account


def _domain(ask: Ask, alias: str) -> str:
    """The domain of the address. Raises `Failed`."""
    given = ask.bound.get("PrimarySmtpAddress")
    if given in (None, ""):
        return ask.organisation.mail_domains[0]
    local, _, domain = str(given).rpartition("@")
    if domain.lower() not in ask.organisation.mail_domains or local.lower() != alias.lower():
        raise Failed(not_simulated(f"-PrimarySmtpAddress {given} of a mailbox called {alias}"))
    return domain.lower()


def _refuse_long(ask: Ask, parameter: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise ask.failed(
            f"The value '{value}' of property '{parameter}' is longer than {longest} characters.",
            _INVALID,
        )


def _refuse_taken(ask: Ask, name: str, alias: str, account: str, domain: str) -> None:
    """Raises `Failed` where somebody has the name, the account, the alias or an address."""
    place = ask.view.places.distinguished(newcomers.USERS, name)
    second = ask.organisation.mail_domains[-1]
    if ask.register.find(place):
        raise ask.failed(f"The object '{place}' already exists.", _TAKEN, "ResourceExists")
    if ask.register.find(rf"{ask.organisation.netbios}\{account}"):
        raise ask.failed(
            f"The account name '{account}' is already in use.", _TAKEN, "ResourceExists"
        )
    taken = {one.alias.lower() for one in ask.organisation.present()}
    for address in (f"{alias}@{domain}", f"{alias}@{second}"):
        if alias.lower() in taken or ask.register.find(address):
            raise ask.failed(
                f'The proxy address "SMTP:{address}" is already being used by the proxy addresses '
                "or LegacyExchangeDN of another recipient.",
                _IN_USE, "ResourceExists",
            )  # fmt: skip


def _owner(ask: Ask, account: str) -> Account:
    """Who may log on then. Raises `Failed`."""
    secret = ask.bound.get("Password")
    if not isinstance(secret, Secret):
        raise errors.unconvertible(
            ask.bound.cmdlet, "Password", type(secret).__name__, "System.Security.SecureString"
        )
    if not secret.reveal():
        raise ask.failed(
            "The password does not meet the password policy requirements. Check the minimum "
            "password length, password complexity and password history requirements.", _WEAK,
        )  # fmt: skip
    state = ask.organisation
    try:
        return Account(account, state.netbios, secret, dns=state.domain)
    except BadAccount as error:
        raise Failed(not_simulated(f"such an account ({error})")) from None


def _remove(ask: Ask) -> Iterator[Given]:
    """The mailbox goes, and its account with it."""
    mailbox = meant(ask, ORDINARY)
    if ask.bound.is_on("Permanent"):
        raise Failed(not_simulated("Remove-Mailbox -Permanent:$true"))
    if not ask.bound.is_on("WhatIf"):
        ask.organisation.disable(mailbox)
        ask.world.accounts.remove(mailbox.account)
    yield from ()


CMDLETS: Final = (
    Simulated(
        "New-Mailbox", _new,
        ("Name", "Alias", "SamAccountName", "UserPrincipalName", "PrimarySmtpAddress",
         "DisplayName", "Database", "Password", "Shared", "ResetPasswordOnNextLogon"),
        changes=True,
    ),
    Simulated(
        "Remove-Mailbox", _remove, ("Identity", "Permanent", "Force"), asks=True, changes=True
    ),
)  # fmt: skip

"""What an account's session has: cmdlets and parameters by its role groups.

A session holds only what its roles allow: another cmdlet is no command there, another parameter
is no parameter (RBAC). Names are those of the role groups; which cmdlets each brings is a
selection from memory [MEM], kept in one table.
"""

from fnmatch import fnmatchcase
from typing import Final

from mailmig.lab.accounts import Account
from mailmig.lab.cmdlets.reference import Cmdlet, cmdlets
from mailmig.lab.world import World

# Per role group in lower case: patterns of cmdlet names in lower case.
ROLE_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "organization management": ("*",),
    "view-only organization management": ("get-*", "test-*"),
    "recipient management": (
        "get-mailbox*", "set-mailbox", "get-user", "get-group", "get-recipient",
        "*-moverequest*", "*-migration*", "get-accepteddomain", "get-exchangeserver",
        "get-mailboxdatabase", "get-organizationconfig",
    ),
    "server management": (
        "*-mailboxdatabase*", "*-mailboxserver", "*-exchangeserver", "*-servercomponentstate",
        "*virtualdirectory", "*-queue", "*connector", "test-servicehealth",
        "get-databaseavailabilitygroup*", "get-outlookanywhere", "get-clientaccess*",
    ),
}  # fmt: skip


def seen(world: World, version: str, caller: Account, name: str) -> Cmdlet | None:
    """The cmdlet as the caller's session has it, `None` when it has none of that name."""
    cmdlet = cmdlets(version).get(name.lower())
    if cmdlet is None or not _allowed(caller, cmdlet.name):
        return None
    lacking = world.lacking.get(caller.name.lower(), set())
    if cmdlet.name.lower() in lacking:
        return None
    own = f"{cmdlet.name.lower()}/"
    hidden = {entry.removeprefix(own) for entry in lacking if entry.startswith(own)}
    if not hidden:
        return cmdlet
    return cmdlet.without(frozenset(p for p in cmdlet.parameters if p.lower() in hidden))


def _allowed(caller: Account, name: str) -> bool:
    low = name.lower()
    return any(
        fnmatchcase(low, pattern)
        for role in caller.roles
        for pattern in ROLE_GROUPS.get(role.lower(), ())
    )

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
        "get-mailbox*", "new-mailbox", "set-mailbox", "remove-mailbox", "get-casmailbox", "set-casmailbox",
        "add-mailboxpermission", "remove-mailboxpermission", "get-user", "get-group", "get-recipient",
        "*-moverequest*", "*-migration*", "get-accepteddomain", "get-exchangeserver",
        "get-mailboxdatabase", "get-organizationconfig",
    ),
    "server management": (
        "*-mailboxdatabase*", "*-mailboxserver", "*-exchangeserver", "*-servercomponentstate",
        "*virtualdirectory", "*-queue", "*connector", "test-servicehealth",
        "*-databaseavailabilitygroup*", "move-activemailboxdatabase", "*mount-database",
        "test-replicationhealth", "get-mailboxserverredundancy", "get-outlookanywhere", "get-clientaccess*",
    ),
    "mailbox import export": ("*-mailboximportrequest*", "*-mailboxexportrequest*"),
}  # fmt: skip
# A role that no group has until somebody assigns it (migration.md 11).
_OF_NOBODY: Final = "mailbox import export"


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
    low, roles = name.lower(), {role.lower() for role in caller.roles}
    if any(fnmatchcase(low, pattern) for pattern in ROLE_GROUPS[_OF_NOBODY]):
        return _OF_NOBODY in roles
    return any(fnmatchcase(low, p) for role in roles for p in ROLE_GROUPS.get(role, ()))

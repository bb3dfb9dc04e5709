"""Requests as a front end answers them, for tests of what is written about them."""

from types import SimpleNamespace
from typing import Any

from mailmig.lab.accounts import Account
from mailmig.lab.founding import found
from mailmig.lab.story import read
from mailmig.lab.web.messages import Answer, Request
from mailmig.lab.world import World

OLD, M, P = "LS-EX16", "LS-EX1", "LS-EX2"
BEHIND = (
    ("X-CalculatedBETarget", "ls-ex2.ad.lindenstadt.example"), ("X-BackEndHttpStatus", "200"),
)  # fmt: skip


def town(mailboxes: int | None = 60, seed: int = 1) -> World:
    return World(found(read("town"), mailboxes, seed))


def serve(
    world: World, path: str, status: int = 200, *, front: str = M, account: Account | None = None,
    behind: bool = True, reached: bool = True, method: str = "POST", **headers: str,
) -> None:  # fmt: skip
    """One answered request; `headers` with _ for -."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(method, path, {}, {"host": "mail.town.example:443", **given}, b"", True)
    connection = SimpleNamespace(logon=SimpleNamespace(account=account))
    scope: dict[str, Any] = {
        "state": {"connection": connection}, "server": ("127.0.11.22", 10443),
        "client": ("127.0.0.9", 50_000),
    }  # fmt: skip
    said = BEHIND if reached else BEHIND[:1]
    answer = Answer(status, headers=said if behind else ())
    world.logs.served(front, scope, request, answer, world.now)


def texts(world: World, server: str, part: str) -> dict[str, str]:
    """The files of a server whose path contains this, by name."""
    return {
        file.path.rpartition("\\")[2]: file.text
        for file in world.logs.files(server)
        if part in file.path
    }

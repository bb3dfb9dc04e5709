"""Our WinRM client asks the servers of a running lab who used them."""

import asyncio
import threading
from datetime import timedelta

from mailmig.lab.running.whole import Lab
from mailmig.model.windows import ClientLog, ClientUse, LogRead
from tests.lab.running_lab import windows
from tests.lab.web.clients import account, exchange, session, staff

OLD = "LS-EX16"
TWO_WEEKS = timedelta(days=14)


async def asked(lab: Lab, server: str, log: ClientLog) -> tuple[LogRead, list[ClientUse]]:
    async with windows(lab, server) as client:
        found = await client.client_use(log, lab.world.now - TWO_WEEKS)
    assert found.origin == "winrm" and found.seen_at.tzinfo is not None
    read, *rest = found.facts
    assert isinstance(read, LogRead)
    return read, [one for one in rest if isinstance(one, ClientUse)]


def of_stranger(clients: list[ClientUse], name: str) -> list[ClientUse]:
    return [one for one in clients if one.user == name and "exchangelib" in (one.software or "")]


async def test_a_stranger_that_used_ews_is_counted_in_front_and_behind(lab: Lab) -> None:
    person = staff(lab)[0]
    name = rf"{lab.organisation.netbios}\{person.account}"

    def use() -> None:
        with exchange(lab):
            assert account(lab, person).inbox.total_count >= 0

    await asyncio.to_thread(use)
    fronts: list[ClientUse] = []
    backs: list[ClientUse] = []
    home = lab.web.people.home(person).name
    for server in (one.name for one in lab.organisation.servers):
        _, clients = await asked(lab, server, ClientLog.PROXY)
        fronts += of_stranger(clients, name)
        _, clients = await asked(lab, server, ClientLog.IIS_BACK)
        mine = of_stranger(clients, name)
        assert not mine or server == home
        backs += mine
    assert sum(one.accepted for one in fronts) == sum(one.accepted for one in backs) > 0
    assert {one.protocol for one in fronts} == {"Ews"}
    assert max(one.last for one in fronts) == lab.world.now.replace(microsecond=0)


async def test_the_first_client_does_not_wait_for_who_holds_the_world(lab: Lab) -> None:
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with lab.world.lock:
            held.set()
            free.wait(10)

    def look() -> int:
        with session(lab) as http:
            url = f"https://ls-ex1.{lab.organisation.domain}/owa/healthcheck.htm"
            return http.get(url, timeout=8).status_code

    holding = asyncio.ensure_future(asyncio.to_thread(hold))
    assert await asyncio.to_thread(held.wait, 5)
    try:
        assert await asyncio.to_thread(look) == 200
    finally:
        free.set()
        await holding


async def test_who_still_uses_the_old_name_is_found(lab: Lab) -> None:
    own = lab.organisation.server(OLD).fqdn
    read, clients = await asked(lab, OLD, ClientLog.PROXY)
    assert read.there and read.lines and not read.left
    assert read.oldest is not None and read.oldest - (lab.world.now - TWO_WEEKS) < timedelta(days=1)
    still = {one.software for one in clients if one.host == own and not one.is_probe}
    assert "ScanStation/3.1" in still
    assert {one.host for one in clients if one.is_probe} == {"localhost"}


async def test_all_logs_are_read_beside_each_other(lab: Lab) -> None:
    answers = await asyncio.gather(*(asked(lab, OLD, log) for log in ClientLog))
    folders = {read.folder for read, _ in answers}
    assert len(folders) == len(ClientLog)
    for _, clients in answers:
        keys = [(one.host, one.protocol, one.software, one.address, one.user) for one in clients]
        assert len(keys) == len(set(keys))

"""The migration of a story: from the state before to the state after, by the laws of the lab.

Everything that can move moves in the two days of the story; then the quota policy raises
those with special needs, people come and go, and PST files are imported on demand.
"""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from mailmig.lab.organisation import Organisation, guid
from mailmig.lab.peculiarities import NO_LIMITS, TWO_GB
from mailmig.lab.people import Directory
from mailmig.lab.population import Department, Mailbox
from mailmig.lab.story import Story
from mailmig.lab.usage import ITEM_BYTES, last_logon, stream
from mailmig.model.directory import NEVER_MOVED, Kind
from mailmig.model.quota import MIB

_TWO_DAYS: Final = timedelta(days=2)
_A_WHILE: Final = timedelta(hours=1)


def migrate(organisation: Organisation, story: Story) -> None:
    """Let the organisation live through its migration, up to the story's moment "after"."""
    moments = story.moments
    organisation.advance(moments["moving"])
    organisation.move_all(dict(_assignment(organisation)))
    organisation.advance(moments["moving"] + _TWO_DAYS)
    while organisation.moves:
        organisation.advance(organisation.now + _A_WHILE)
    draw = stream(organisation.seed, "afterwards")
    raise_quotas(organisation, story)
    _single_cases(organisation, story, draw)
    organisation.advance(max(moments["import"], organisation.now))
    _import_pst_files(organisation, story, draw)
    _come_and_go(organisation, story, draw)
    organisation.advance(moments["after"])
    organisation.answering = organisation.dag.servers[0]
    for mailbox in organisation.present():
        if mailbox.last_logon is not None and mailbox.growth:
            mailbox.last_logon = last_logon(draw, organisation.now)


def _assignment(organisation: Organisation) -> Iterator[tuple[int, str]]:
    """Every mailbox that can move, with its target: department by department, evenly filled."""
    targets = [d.name for d in organisation.databases.values() if d.dag]
    sources = {d.name for d in organisation.databases.values() if not d.dag}
    first = (Kind.ARBITRATION, Kind.AUDIT_LOG, Kind.PUBLIC_FOLDER, Kind.DISCOVERY)
    movable = [
        mailbox
        for mailbox in organisation.present()
        if mailbox.kind not in NEVER_MOVED and mailbox.database in sources
    ]
    movable.sort(key=lambda mailbox: (mailbox.kind not in first, mailbox.number))
    for place, mailbox in enumerate(movable):
        yield mailbox.number, targets[place * len(targets) // len(movable)]


def raise_quotas(organisation: Organisation, story: Story) -> None:
    """The policy after the move: those with quotas of their own for special needs get more."""
    raised = story.raised
    plans = {plan.name: plan for plan in story.departments}
    met: dict[tuple[str, ...], int] = {}
    for mailbox in organisation.present(Kind.USER):
        if mailbox.use_database_quotas or mailbox.own != raised["before"]:
            continue
        plan = plans[mailbox.path[-1]]
        place = met.get(mailbox.path, 0)
        met[mailbox.path] = place + 1
        most = place % (plan.raised + plan.raised_most) < plan.raised_most
        mailbox.own = raised["after_most"] if most else raised["after"]


def _single_cases(organisation: Organisation, story: Story, draw: random.Random) -> None:
    """One is limited for the first time, one no longer; one loses; one mailbox becomes shared."""
    singles = story.singles
    free = [m for m in organisation.present(Kind.USER) if m.own == NO_LIMITS]
    unlimited = [m for m in free if not m.use_database_quotas]
    for mailbox in unlimited[: singles["newly_limited"]]:
        mailbox.own = TWO_GB
    two_gb = [
        m for m in organisation.present(Kind.USER)
        if not m.use_database_quotas and m.own == TWO_GB and m not in unlimited
    ]  # fmt: skip
    for mailbox in two_gb[: singles["reduced"]]:
        mailbox.use_database_quotas = True
    plain = [
        m for m in organisation.present(Kind.USER)
        if m.use_database_quotas and m.last_logon is not None and m.title == "Sachbearbeitung"
    ]  # fmt: skip
    chosen = draw.sample(plain, min(len(plain), singles["now_unlimited"] + singles["converted"]))
    for mailbox in chosen[: singles["now_unlimited"]]:
        mailbox.use_database_quotas, mailbox.own = False, NO_LIMITS
    for mailbox in chosen[singles["now_unlimited"] :]:
        mailbox.kind = Kind.SHARED


def _import_pst_files(organisation: Organisation, story: Story, draw: random.Random) -> None:
    """PST files go into their owners' mailboxes: the largest one eats all that was gained."""
    told = story.pst
    owners = dict.fromkeys(
        file.owner
        for file in organisation.pst_files
        if not organisation.mailboxes[file.owner].gone
        and organisation.mailboxes[file.owner].use_database_quotas
        and organisation.mailboxes[file.owner].last_logon is not None
    )
    wanted = max(1, round(told["imports"] * len(organisation.mailboxes) / story.mailboxes))
    chosen = list(owners)[:wanted]
    least, most = told["import_mb"]
    # Whoever has the least in the mailbox has room for the largest file.
    chosen.sort(key=lambda number: organisation.mailboxes[number].used)
    for place, number in enumerate(chosen):
        size = told["largest_import_mb"] if place == 0 else draw.randrange(least, most)
        mailbox = organisation.mailboxes[number]
        mailbox.used += size * MIB
        mailbox.items += size * MIB // ITEM_BYTES
        organisation.databases[mailbox.database].size += size * MIB
    done = set(chosen)
    organisation.pst_files = [f for f in organisation.pst_files if f.owner not in done]


def _come_and_go(organisation: Organisation, story: Story, draw: random.Random) -> None:
    plain = [
        m for m in organisation.present(Kind.USER)
        if m.use_database_quotas and m.title == "Sachbearbeitung"
    ]  # fmt: skip
    leaving = draw.sample(plain, min(max(0, len(plain) - 1), story.singles["left"]))
    for mailbox in leaving:
        organisation.disable(mailbox)
    names = Directory(draw)
    taken = {mailbox.alias for mailbox in organisation.mailboxes}
    for _ in range(story.singles["came"]):
        department = draw.choice(organisation.departments)
        _hire(organisation, department, names, taken, draw)


def _hire(
    organisation: Organisation,
    department: Department,
    names: Directory,
    taken: set[str],
    draw: random.Random,
) -> Mailbox:
    """A new member of staff, on a target database from the first day."""
    who = names.person()
    while who.alias in taken:
        who = names.person()
    taken.add(who.alias)
    number = len(organisation.mailboxes)
    target = draw.choice([d.name for d in organisation.databases.values() if d.dag])
    mailbox = Mailbox(
        number=number, kind=Kind.USER, guid=guid(organisation.seed, "object", number),
        exchange_guid=guid(organisation.seed, "mailbox", number), name=who.name,
        display_name=who.display_name, alias=who.alias, account=f"{who.account[:16]}.neu",
        domain=organisation.mail_domains[0], path=department.path, database=target,
        created=organisation.now, department=department.name, office=department.site,
        title="Sachbearbeitung", used=draw.randrange(MIB, 9 * MIB), items=60,
        last_logon=organisation.now, growth=0.1,
    )  # fmt: skip
    organisation.mailboxes.append(mailbox)
    organisation.databases[target].size += mailbox.used
    return mailbox

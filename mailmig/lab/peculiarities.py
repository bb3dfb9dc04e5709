"""What is special in a town: raised quotas, single cases, archives, and what was left behind."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from mailmig.lab.organisation import Organisation, guid
from mailmig.lab.population import Archive, Leftover, Mailbox, PstFile
from mailmig.lab.story import DepartmentPlan, Story
from mailmig.lab.usage import ITEM_BYTES, Usage, stream
from mailmig.model.directory import Kind
from mailmig.model.quota import GIB, MIB, UNLIMITED, Quotas

TWO_GB: Final = Quotas(1843 * MIB, 2048 * MIB, 2458 * MIB)
NO_LIMITS: Final = Quotas(UNLIMITED, UNLIMITED, UNLIMITED)
_SEND_UNLIMITED: Final = Quotas(1843 * MIB, UNLIMITED, 2048 * MIB)

People = Sequence[tuple[DepartmentPlan, list[Mailbox]]]


def special_people(
    organisation: Organisation, story: Story, people: People, scale: float, usage: Usage
) -> None:
    """Raised quotas, linked accounts, people who never logged on, and the single cases.

    `people` are the departments with their members, `scale` is the size beside the story's.
    """
    for plan, here in people:
        if plan.linked:
            for mailbox in here[1 : 1 + story.sizes["linked"]]:
                mailbox.kind = Kind.LINKED
                mailbox.linked_account = rf"LEITSTELLE\{mailbox.account}"
        raised = round((plan.raised + plan.raised_most) * len(here) / plan.people)
        for mailbox in here[1 : 1 + raised]:
            mailbox.use_database_quotas = False
            mailbox.own = story.raised["before"]
            usage.fill(organisation, mailbox)
    plain = [
        mailbox
        for _, here in people
        for mailbox in here[1:]
        if mailbox.use_database_quotas and mailbox.kind is Kind.USER
    ]
    stream(organisation.seed, "specials").shuffle(plain)
    never = round(story.sizes["never_used"] * scale)
    for mailbox in plain[:never]:
        mailbox.used = mailbox.items = mailbox.deleted = mailbox.deleted_items = 0
        mailbox.last_logon, mailbox.growth = None, 0.0
    _single_cases(organisation, story, plain[never:], usage)


def _single_cases(
    organisation: Organisation, story: Story, plain: Iterable[Mailbox], usage: Usage
) -> None:
    queue = iter(plain)

    def take(name: str) -> list[Mailbox]:
        return [mailbox for _, mailbox in zip(range(story.singles[name]), queue, strict=False)]

    for name, own in (
        ("unlimited", NO_LIMITS),
        ("newly_limited", NO_LIMITS),
        ("kept", TWO_GB),
        ("reduced", TWO_GB),
        ("send_unlimited", _SEND_UNLIMITED),
    ):
        for mailbox in take(name):
            mailbox.use_database_quotas, mailbox.own = False, own
            usage.hold(mailbox, usage.draw.randrange(500 * MIB, 780 * MIB))
    for mailbox in take("full"):
        limit = organisation.effective(mailbox).receive
        assert isinstance(limit, int)
        usage.hold(mailbox, limit)
    for mailbox in take("over_send"):
        limit = organisation.effective(mailbox).send
        assert isinstance(limit, int)
        usage.hold(mailbox, round(limit * usage.draw.uniform(1.0, 1.15)))


def open_archives(
    organisation: Organisation, story: Story, members: list[list[Mailbox]], scale: float
) -> None:
    """Some people have an archive; a third of them with a quota, some of them on hold."""
    draw = stream(organisation.seed, "archives")
    used = [mailbox for here in members for mailbox in here if mailbox.last_logon is not None]
    number = min(len(used), round(story.sizes["archives"] * scale))
    for place, mailbox in enumerate(draw.sample(used, number)):
        size = draw.randrange(60 * MIB, 1400 * MIB)
        name = guid(organisation.seed, "archive", mailbox.number)
        mailbox.archive = Archive(name, mailbox.database, size, size // ITEM_BYTES + 1)
        if place % 3 == 0:
            mailbox.archive.warn, mailbox.archive.quota = 4608 * MIB, 5 * GIB
        mailbox.on_hold = place % 8 == 0


def leave_behind(organisation: Organisation, story: Story, scale: float) -> None:
    """One person who left last week, accounts without a mailbox, PST files on shares."""
    draw = stream(organisation.seed, "leftovers")
    seed, now = organisation.seed, organisation.now
    organisation.leftovers.append(
        Leftover(
            next(iter(organisation.databases)), guid(seed, "left"), "Ausgeschieden, Erika",
            now - timedelta(days=6), False, 97 * MIB + 12_345, 2_411,
        )
    )  # fmt: skip
    for i in range(max(1, round(story.sizes["accounts_only"] * scale))):
        department = organisation.departments[i % len(organisation.departments)]
        organisation.accounts_only.append(
            (guid(seed, "account", i), f"adm-{i + 1:05}", department.name)
        )
    folder = story.pst["share_path"]
    for mailbox in organisation.present(Kind.USER):
        if draw.random() < story.pst["owners_share"]:
            for i in range(draw.choice((1, 1, 1, 2, 3))):
                path = rf"{folder}\{mailbox.account}\Outlook\Archiv{2012 + 4 * i}.pst"
                size = 271_360 + 1024 * round(draw.lognormvariate(12.2, 1.1))
                organisation.pst_files.append(PstFile(mailbox.number, path, size))

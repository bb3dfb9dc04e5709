"""The fault of the case study in a running town: shared mailboxes of the other version, outside."""

import pytest

from mailmig.model.finding import OUTSIDE, Finding, Severity
from tests.journeys.mapi_town import OLD, SPLIT, Town

in_lab = pytest.mark.asyncio(loop_scope="module")
SPLIT_OUTSIDE = "they open inside and not from outside, where people's own mailboxes open"


async def _found(town: Town) -> Finding:
    swept, _ = await town.sweep(check=SPLIT)
    (only,) = swept.findings
    assert only.subject == "people on SE, shared mailboxes on 2016"
    return only


@in_lab
async def test_a_healthy_town_shares_across_versions_from_everywhere(town: Town) -> None:
    assert (await _found(town)).severity is Severity.OK


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("shared-outside-not-published", "proxy_blocks"),
        ("shared-outside-negotiate-only", "scheme"),
        ("shared-outside-extended-protection", "extended_protection"),
        ("shared-outside-headers-lost", "shared_outside"),
        ("mapi-url-outside-wrong", "external_url"),
    ],
)
@in_lab
async def test_what_breaks_outside_alone_is_the_fault_of_the_pilot(
    town: Town, fault: str, cause: str
) -> None:
    town.lab.faults.on(fault, OLD)
    found = await _found(town)
    assert (found.severity, found.vantage, found.summary) == (
        Severity.CRITICAL, OUTSIDE, SPLIT_OUTSIDE,
    )  # fmt: skip
    assert {said.partition(":")[0] for _, said in found.evidence} == {cause}


@in_lab
async def test_a_missing_right_or_a_proxy_for_everybody_is_no_matter_of_versions(
    town: Town,
) -> None:
    for fault, target in (("mapi-no-permission", r"{cross}\{own}"), ("gateway-blocks", "mapi")):
        town.lab.faults.on(fault, town.filled(target))
        assert (await _found(town)).severity is Severity.WARNING
        town.lab.faults.all_off()

"""Each fault of MAPI in a running town gives exactly its verdict, no other row's (protocols.md 1.8.2).

Somebody's mailbox is on a new server, one shared mailbox on the old version, another one beside his
own. "Cause subjects" are compared whole: a finding too many fails. One lab serves all tests that
switch a fault; each leaves it as it was.
"""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from mailmig.lab.faults.mapi import Slow
from mailmig.lab.faults.switchboard import kinds
from mailmig.model.document import NONE
from mailmig.model.finding import INSIDE, OUTSIDE
from mailmig.rules.mapi_causes import causes
from tests.journeys.mapi_town import NEW, OLD, Causes, Town, again

in_lab = pytest.mark.asyncio(loop_scope="module")

INSIDE_MAIL: Final = ("mail at 127.0.11.22", "mail at 127.0.12.23")
GATEWAYS: Final = ("mail at 127.0.9.41", "mail at 127.0.9.42")
OWN_NAME: Final = ("alt at 127.0.9.41", "alt at 127.0.9.42")
AUTODISCOVER: Final = ("autodiscover at 127.0.9.41", "autodiscover at 127.0.9.42")
EVERY: Final = ("own", "cross", "same")


def inside(cause: str, *about: str) -> Causes:
    return {f"{INSIDE} {cause}": frozenset(about)}


def outside(cause: str, *about: str) -> Causes:
    return {f"{OUTSIDE} {cause}": frozenset(about)}


def both(cause: str, *about: str) -> Causes:
    return {**inside(cause, *about), **outside(cause, *about)}


# fault: its target, and all that is found, for who is on a new server and a shared mailbox on the old
ACROSS: dict[str, tuple[str, Causes]] = {
    # outside, and the shared mailbox alone
    "shared-outside-not-published": (OLD, outside("proxy_blocks", *OWN_NAME)),
    "shared-outside-negotiate-only": (OLD, outside("scheme", *OWN_NAME)),
    "shared-outside-extended-protection": (OLD, outside("extended_protection", *OWN_NAME)),
    "shared-outside-cookies-lost": (OLD, outside("cookies", *OWN_NAME)),
    "shared-outside-chunks-forbidden": (OLD, outside("proxy_blocks", *OWN_NAME)),
    "shared-outside-headers-lost": (OLD, outside("shared_outside", "cross opened by own")),
    "mapi-url-outside-wrong": (OLD, outside("external_url", "cross")),
    # outside, everybody
    "mapi-url-outside-missing": ("", outside("external_url", *EVERY)),
    "gateway-blocks": ("mapi", outside("proxy_blocks", *GATEWAYS)),
    "gateway-forbids-post": ("mapi", outside("proxy_blocks", *GATEWAYS)),
    "gateway-not-published": ("mapi", outside("proxy_blocks", *GATEWAYS)),
    "gateway-redirect-loop": ("mapi", outside("proxy_blocks", *GATEWAYS)),
    "gateway-forbids-chunks": ("mapi", outside("proxy_blocks", *GATEWAYS)),
    "gateway-cuts-chunks": ("mapi", outside("proxy_blocks", *GATEWAYS)),
    "gateway-half-answers": ("mapi", outside("proxy_blocks", *GATEWAYS)),
    "gateway-strips-cookies": ("mapi", outside("cookies", *GATEWAYS)),
    "gateway-hides-cookies": ("mapi", outside("cookies", *GATEWAYS)),
    "gateway-negotiate-only": ("mapi", outside("scheme", *GATEWAYS)),
    "gateway-hangs": ("mapi", outside("late", *GATEWAYS)),
    "gateway-slow": ("mapi", outside("late", *GATEWAYS)),
    "gateway-adds-device-info": ("mapi", outside("device_info", *GATEWAYS)),
    "gateway-certificate-expired": ("", outside("certificate", *AUTODISCOVER)),
    "gateway-certificate-wrong-names": ("", outside("certificate", *AUTODISCOVER)),
    "gateway-certificate-unknown-authority": ("", outside("certificate", *AUTODISCOVER)),
    # from both sides
    "mapi-no-permission": (r"{cross}\{own}", both("no_permission", "cross opened by own")),
    "mailbox-route-stale": ("{cross}", both("moved", "cross")),
    "mailbox-in-transit": ("{cross}", both("in_transit", "cross")),
    "mailbox-disabled": ("{cross}", both("disabled", "cross")),
    "mapi-disabled-for-mailbox": ("{cross}", both("mapi_off", "cross")),
    "mapi-disabled": ("", both("mapi_off", *EVERY)),
    "mapi-proxy-broken": (OLD, both("back_end_proxying", "cross")),
    "mapi-late-failure": (OLD, both("server_fault", "cross")),
    "database-dismounted": ("{database}", both("database_down", "cross")),
    "autodiscover-wrong-identity": ("{own}", both("wrong_caller", "own")),
    "account-locked": ("{own}", both("credentials", "own")),
    "password-changed": ("{own}", both("credentials", "own")),
    "mapi-execute-refused": (
        rf"{OLD}\mapi", inside("execute_refused", "ls-ex16 at 127.0.11.21"),
    ),
    "certificate-expired": (NEW, inside("certificate", INSIDE_MAIL[0])),
    "server-down": (OLD, both("server_down", "cross")),
}  # fmt: skip

# The same for the shared mailbox beside his own, on a new server.
BESIDE: dict[str, tuple[str, Causes]] = {
    "mapi-no-permission": (r"{same}\{own}", both("no_permission", "same opened by own")),
    "mailbox-in-transit": ("{same}", both("in_transit", "same")),
    "mailbox-disabled": ("{same}", both("disabled", "same")),
    "mapi-disabled-for-mailbox": ("{same}", both("mapi_off", "same")),
    "mapi-late-failure": (NEW, both("server_fault", "own", "same")),
    # The old server has no external URL of its own: its mailboxes are given this one.
    "mapi-url-outside-wrong": (NEW, outside("external_url", *EVERY)),
    "shared-outside-not-published": (NEW, outside("proxy_blocks", *OWN_NAME)),
    "shared-outside-cookies-lost": (NEW, outside("cookies", *OWN_NAME)),
}

# A front end that is broken: its address inside. Behind the gateway each connection meets one of two.
FRONT_ENDS: dict[str, tuple[str, str]] = {
    "web-error": (rf"{NEW}\mapi", "front_end"),
    "web-half-answers": (rf"{NEW}\mapi", "front_end"),
    "web-drops": (rf"{NEW}\mapi", "front_end"),
    "web-redirect-loop": (rf"{NEW}\mapi", "front_end"),
    "web-cookies-lost": (rf"{NEW}\mapi", "cookies"),
    "web-hangs": (rf"{NEW}\mapi", "late"),
    "directory-basic-only": (rf"{NEW}\mapi", "scheme"),
    "app-pool-stopped": (rf"{NEW}\MSExchangeMapiFrontEndAppPool", "server_down"),
}


@in_lab
async def test_a_healthy_town_has_no_finding_from_any_vantage(town: Town) -> None:
    swept, _ = await town.sweep()
    assert town.told(swept) == {}
    said = {(one.vantage, one.summary) for one in swept.findings}
    assert said == {
        (INSIDE, "2 own and 5 shared ways in work"),
        (OUTSIDE, "2 own and 4 shared ways in work"),
    }


@pytest.mark.parametrize("fault", ACROSS)
@in_lab
async def test_a_fault_gives_its_verdict_and_no_other(town: Town, fault: str) -> None:
    target, expected = ACROSS[fault]
    await _gives(town, fault, target, expected)


@pytest.mark.parametrize("fault", BESIDE)
@in_lab
async def test_a_shared_mailbox_beside_ones_own_gets_the_same_verdict(
    town: Town, fault: str
) -> None:
    target, expected = BESIDE[fault]
    await _gives(town, fault, target, expected)


async def _gives(town: Town, fault: str, target: str, expected: Causes) -> None:
    town.lab.faults.on(fault, town.filled(target))
    found = await town.causes()
    assert found == expected
    town.lab.faults.off(fault, town.filled(target))
    async with asyncio.timeout(60):  # a machine that comes back needs a moment of ours
        while await town.causes() != {}:
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("fault", FRONT_ENDS)
@in_lab
async def test_a_broken_front_end_is_named_by_its_address_inside(town: Town, fault: str) -> None:
    target, cause = FRONT_ENDS[fault]
    town.lab.faults.on(fault, target)
    found = await town.causes()
    assert found[f"{INSIDE} {cause}"] == {INSIDE_MAIL[0]}
    assert found.keys() <= {f"{INSIDE} {cause}", f"{OUTSIDE} {cause}"}
    assert found.get(f"{OUTSIDE} {cause}", frozenset()) <= set(GATEWAYS)


@in_lab
async def test_extended_protection_at_a_front_end_is_seen_where_tls_is_encrypted_anew(
    town: Town,
) -> None:
    for server in (NEW, "LS-EX2"):
        town.lab.faults.on("extended-protection-differs", rf"{server}\mapi")
    assert await town.causes() == outside("extended_protection", *GATEWAYS)


@in_lab
async def test_a_server_that_is_slow_is_not_down(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slow, "switches", {"delay_s": 2.2})
    town.lab.faults.on("mapi-slow", OLD)
    assert await town.causes(timeout_s=12) == both("slow", "cross")


@in_lab
async def test_long_requests_that_a_proxy_cuts_are_the_proxys(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailmig.lab.faults.gateway.LONGEST_S", 1.0)
    monkeypatch.setattr(Slow, "switches", {"delay_s": 1.5})
    town.lab.faults.on("gateway-cuts-long-requests", "mapi")
    town.lab.faults.on("mapi-slow", OLD)
    assert await town.causes() == outside("proxy_blocks", *GATEWAYS)


@in_lab
async def test_a_laptop_outside_alone_tells_what_its_vantage_shows(town: Town) -> None:
    town.lab.faults.on("gateway-blocks", "mapi")
    swept, _ = await town.sweep(vantages=frozenset({OUTSIDE}))
    assert town.told(swept) == outside("proxy_blocks", *GATEWAYS)


@in_lab
async def test_only_facts_from_both_sides_tell_that_shared_mailboxes_are_broken_from_outside(
    town: Town, tmp_path: Path
) -> None:
    town.lab.faults.on("shared-outside-headers-lost", OLD)
    _, from_outside = await town.sweep(vantages=frozenset({OUTSIDE}))
    sites = frozenset(one.site for one in town.lab.layout.resolvers)
    _, from_inside = await town.sweep(vantages=sites)
    about = "cross opened by own"
    assert town.told(await again(tmp_path, from_outside)) == outside("unexplained", about)
    assert town.told(await again(tmp_path, from_inside)) == {}
    merged = await again(tmp_path, from_inside, from_outside)
    assert town.told(merged) == outside("shared_outside", about)


@in_lab
async def test_saved_facts_lead_to_the_same_findings_and_the_same_picture(
    town: Town, tmp_path: Path
) -> None:
    town.lab.faults.on("mailbox-in-transit", town.cross.alias)
    swept, asked = await town.sweep()
    saved = await again(tmp_path, asked)
    assert (saved.findings, saved.pictures) == (swept.findings, swept.pictures)


@in_lab
async def test_the_picture_shows_who_gets_into_what_from_where(town: Town) -> None:
    town.lab.faults.on("shared-outside-not-published", OLD)
    swept, _ = await town.sweep()
    (picture,) = swept.pictures
    shown = {tuple(row[:3]): row[3:] for row in picture.rows}
    mail, alt = "mail.lindenstadt.example", "alt.lindenstadt.example"
    assert shown == {
        (INSIDE, "ls-ex16.ad.lindenstadt.example", "127.0.11.21"): (NONE, "1 well"),
        (INSIDE, mail, "127.0.11.22"): ("1 well", "2 well"),
        (INSIDE, mail, "127.0.12.23"): ("1 well", "2 well"),
        (OUTSIDE, mail, "127.0.9.41"): ("1 well", "2 well"),
        (OUTSIDE, mail, "127.0.9.42"): ("1 well", "2 well"),
        (OUTSIDE, alt, "127.0.9.41"): (NONE, "1 proxy blocks"),
        (OUTSIDE, alt, "127.0.9.42"): (NONE, "1 proxy blocks"),
    }
    assert {picture.rows[number][1] for number in picture.marked} == {alt}


@in_lab
async def test_no_secret_is_among_the_facts_or_findings(town: Town, tmp_path: Path) -> None:
    swept, asked = await town.sweep()
    await again(tmp_path, asked)
    secret = town.secret.reveal()
    written = "".join(file.read_text("utf-8") for file in tmp_path.glob("*.json"))
    assert len(written) > 1000
    assert secret not in written and secret not in repr(swept)


def test_every_fault_of_mapi_and_of_the_gateway_has_its_verdict_here() -> None:
    # Those lead clients to fewer servers, or to dead ones: nothing that a healthy mailbox shows.
    elsewhere = {"gateway-knows-one-node", "gateway-asks-no-health"}
    in_pairs = {"mapi-slow", "gateway-cuts-long-requests"}
    mine = {name for name, kind in kinds().items() if kind.family in ("mapi", "gateway")}
    assert mine - elsewhere - in_pairs <= ACROSS.keys()


def test_every_cause_is_given_by_a_fault_of_the_lab() -> None:
    told = {key.split()[1] for _, expected in ACROSS.values() for key in expected}
    told |= {cause for _, cause in FRONT_ENDS.values()}
    # A name without addresses and a URL that nobody finds inside need caches that forget.
    untold = {"no_autodiscover", "internal_url", "unasked", "unexplained"}
    assert {key for key, _ in causes()} - untold == told - {"device_info"}

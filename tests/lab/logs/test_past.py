"""The made-up past of a town: who worked how before the lab began."""

from datetime import timedelta

from mailmig.lab.logs.formats import WAYS
from mailmig.lab.logs.past import DAYS, PROBE, SCANNER, Past
from mailmig.lab.logs.records import WebVisit
from tests.lab.logs.answered import OLD, M, P, serve, texts, town


def people(visits: list[WebVisit]) -> set[str]:
    return {one.user for one in visits if "HealthMailbox" not in one.user}


def test_the_same_town_has_the_same_past_and_another_one_another() -> None:
    one, other = Past.of(town()), Past.of(town())
    assert (one.front(OLD), one.back(P)) == (other.front(OLD), other.back(P))
    for way in WAYS:
        assert one.smtp(OLD, way) == other.smtp(OLD, way)
    assert Past.of(town(seed=2)).front(OLD) != one.front(OLD)


def test_before_the_cut_over_people_come_to_the_old_server_alone() -> None:
    past = Past.of(town())
    assert people(past.front(OLD)) and not people(past.front(M)) and not people(past.front(P))
    for server in (OLD, M, P):
        assert any(one.agent == PROBE and one.front == server for one in past.front(server))
    for way in WAYS:
        assert past.smtp(OLD, way) and not past.smtp(M, way)


def test_afterwards_they_come_to_both_nodes_and_a_few_keep_the_old_name() -> None:
    world = town()
    world.organisation.answering = M
    past = Past.of(world)
    assert people(past.front(M)) and people(past.front(P))
    assert people(past.front(M)).isdisjoint(people(past.front(P)))
    old = [one for one in past.front(OLD) if "HealthMailbox" not in one.user]
    assert {one.host for one in old} == {past.servers[OLD].fqdn}
    assert SCANNER in {one.agent for one in old} and len(people(old)) >= 2


def test_all_of_it_lies_in_the_last_days_in_order_and_mostly_on_working_days() -> None:
    past = Past.of(town())
    visits = past.front(OLD)
    assert [one.at for one in visits] == sorted(one.at for one in visits)
    assert past.ends - timedelta(days=DAYS) <= visits[0].at <= visits[-1].at < past.ends
    staff = [one for one in visits if "HealthMailbox" not in one.user]
    weekend = sum(one.at.weekday() > 4 for one in staff)
    assert 0 < weekend < len(staff) / 10


def test_each_request_to_a_front_end_reached_the_back_end_of_its_mailbox() -> None:
    past = Past.of(town())
    fronts = [one for server in past.servers for one in past.front(server)]
    backs = [one for server in past.servers for one in past.back(server)]
    assert sorted(fronts) == sorted(backs)


def test_the_past_is_that_before_the_first_client_came() -> None:
    world = town()
    before = texts(world, M, r"HttpProxy\Ews")
    world.organisation.answering = M
    assert texts(world, M, r"HttpProxy\Ews") == before
    late = town()
    serve(late, "/owa/")
    late.organisation.answering = M
    assert texts(late, M, r"HttpProxy\Ews") == before


def test_an_organisation_without_people_has_a_past_of_probes() -> None:
    past = Past.of(town(1))
    assert len(people(past.front(OLD))) <= 2 and past.front(OLD)

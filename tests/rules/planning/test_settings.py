"""`[plan]` in mailmig.toml refuses what makes no sense."""

import pytest

from mailmig.rules.planning.settings import PlanSettings


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"zone": "Europe/Berln"}, 'zone: there is no time zone "Europe/Berln"'),
        ({"zone": "../etc/passwd"}, 'zone: there is no time zone "../etc/passwd"'),
        ({"zone": ""}, 'zone: there is no time zone ""'),
        ({"weights": {"FullAcces": 1.0}},
         'weights.FullAcces: there is no such right (did you mean "FullAccess"?)'),
        ({"weights": {"SendAs": -1.0}}, "weights.SendAs is zero or more, not -1.0"),
        ({"weights": {"SendAs": float("nan")}}, "weights.SendAs is zero or more, not nan"),
        ({"new_owner": float("inf")}, "new_owner is zero or more, not inf"),
        ({"weights": {"SendAs": 1e308}}, "weights.SendAs is at most 1e+09, not 1e+308"),
        ({"service_least": -1}, "service_least is zero or more, not -1"),
        ({"log_factor": 0.0}, "log_factor is more than zero"),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_named(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:
        PlanSettings(**values)  # type: ignore[arg-type]
    assert str(refused.value) == sentence


def test_weights_not_given_keep_their_defaults() -> None:
    settings = PlanSettings(weights={"SendAs": 7.5})
    assert [settings.weight(right) for right in ("SendAs", "FullAccess", "Inbox")] == [
        7.5,
        5.0,
        None,
    ]

"""A process of its own: its answers, its errors, its end, and Ctrl-C, which it does not hear."""

import os
import signal
import time
from multiprocessing.connection import Connection

import pytest

from mailmig.run.apart import answers

NEVER = float("inf")


def test_answers_come_one_by_one_until_it_ends() -> None:
    assert list(answers(_count, 3, NEVER)) == [0, 1, 2]


def test_an_error_that_it_sends_is_raised_after_the_answers_before_it() -> None:
    came = answers(_fail, 2, NEVER)
    assert [next(came), next(came)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(came)


def test_when_the_time_is_over_nothing_is_waited_for() -> None:
    assert list(answers(_sleep, None, time.monotonic())) == []


def test_it_ends_with_whoever_listens() -> None:
    came = answers(_sleep, None, NEVER)
    process = next(came)
    came.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_ctrl_c_does_not_reach_it() -> None:
    came = answers(_patient, None, NEVER)
    os.kill(next(came), signal.SIGINT)
    assert list(came) == ["still there"]


def _count(there: "Connection[object, int]") -> None:
    for n in range(there.recv()):
        there.send(n)


def _fail(there: "Connection[object, int]") -> None:
    _count(there)
    there.send(ZeroDivisionError())


def _sleep(there: "Connection[object, None]") -> None:
    there.send(os.getpid())
    time.sleep(60)


def _patient(there: "Connection[object, None]") -> None:
    there.recv()
    there.send(os.getpid())
    time.sleep(0.5)
    there.send("still there")

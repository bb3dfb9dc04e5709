"""Programs that we did not write and that a test needs."""

import os
import shutil
from typing import NoReturn

import pytest


def needs(program: str) -> str:
    """The path of a program. Without it the test is left out, or fails where none may be.

    Raises:
        pytest.fail.Exception: the program is missing and MAILMIG_TEST_STRICT is set.
    """
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        left_out(f"{program} is not installed")
    return found


def left_out(reason: str) -> NoReturn:
    """Leaves the test out, or fails it where none may be left out.

    Raises:
        pytest.fail.Exception: MAILMIG_TEST_STRICT is set.
        pytest.skip.Exception: it is not.
    """
    if os.environ.get("MAILMIG_TEST_STRICT"):
        pytest.fail(f"{reason}, and MAILMIG_TEST_STRICT allows no test to be left out")
    pytest.skip(reason)

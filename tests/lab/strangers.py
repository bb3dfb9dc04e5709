"""Programs that we did not write and that a test needs."""

import os
import shutil

import pytest


def needs(program: str) -> str:
    """The path of a program. Without it the test is left out, or fails where none may be.

    Raises:
        pytest.fail.Exception: the program is missing and MAILMIG_TEST_STRICT is set.
    """
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is not None:
        return found
    reason = f"{program} is not installed"
    if os.environ.get("MAILMIG_TEST_STRICT"):
        pytest.fail(f"{reason}, and MAILMIG_TEST_STRICT allows no test to be left out")
    pytest.skip(reason)

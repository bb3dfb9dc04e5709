"""A small town that runs, for the tests that ask it over WinRM."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from mailmig.lab.running.whole import Lab
from tests.lab.running_lab import running


@pytest_asyncio.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path) as found:
        yield found

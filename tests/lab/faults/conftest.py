"""One running town for all tests of a module that wants it; every test leaves no fault behind."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from mailmig.lab.running.whole import Lab
from tests.lab.running_lab import running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with running(tmp_path_factory.mktemp("town")) as lab:
        yield lab


@pytest.fixture
def lab(running_lab: Lab) -> Iterator[Lab]:
    yield running_lab
    running_lab.faults.all_off()


@pytest.fixture(autouse=True)
def nobody_complains(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A fault is nothing that uvicorn, which serves the lab's pages, would find wrong."""
    yield
    told = [one.message for one in caplog.get_records("call") if one.name.startswith("uvicorn")]
    assert told == []

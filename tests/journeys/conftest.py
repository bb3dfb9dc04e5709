"""A town per file of journeys; each test leaves it healthy."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.journeys.mapi_town import Town, mapi_town


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="running_town")
async def _running_town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    async with mapi_town(tmp_path_factory.mktemp("matrix")) as town:
        yield town


@pytest.fixture(name="town")
def _town(running_town: Town) -> Iterator[Town]:
    yield running_town
    running_town.lab.faults.all_off()

import copy
import json
import logging
import pickle

import pytest

from mailmig.model.secret import Secret

MARK = "lab-only-Maerchenwald-7"


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "%s".__mod__, ascii])
def test_a_secret_never_shows_itself(shown: object) -> None:
    assert callable(shown)
    assert MARK not in shown(Secret(MARK))
    assert MARK not in shown([Secret(MARK)])


@pytest.mark.parametrize("wrote", [pickle.dumps, copy.deepcopy, json.dumps])
def test_a_secret_cannot_be_written(wrote: object) -> None:
    assert callable(wrote)
    with pytest.raises(TypeError) as error:
        wrote(Secret(MARK))
    assert MARK not in str(error.value)


def test_only_reveal_gives_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(MARK)
    logging.getLogger("x").error("password is %s", secret)
    assert MARK not in caplog.text
    assert secret.reveal() == MARK
    assert secret == Secret(MARK)

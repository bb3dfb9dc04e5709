import pytest

from tests.lab.strangers import needs


def test_a_program_that_is_there_is_found_by_its_path() -> None:
    assert needs("sh").endswith("/sh")


def test_without_the_program_the_test_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILMIG_TEST_STRICT", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        needs("no-such-program")


def test_where_none_may_be_left_out_the_test_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILMIG_TEST_STRICT", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        needs("no-such-program")

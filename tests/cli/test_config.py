from pathlib import Path

import pytest

from tests.conftest import Mailmig


def test_init_writes_a_file_that_check_accepts(mailmig: Mailmig, tmp_path: Path) -> None:
    assert mailmig("config", "init").code == 0
    assert "[mailmig]" in (tmp_path / "mailmig.toml").read_text("utf-8")
    outcome = mailmig("config", "check")
    assert (outcome.code, outcome.out) == (0, "good: mailmig.toml\n")


def test_init_never_overwrites(mailmig: Mailmig, tmp_path: Path) -> None:
    (tmp_path / "mailmig.toml").write_text("# mine\n")
    outcome = mailmig("config", "init")
    assert outcome.code == 2
    assert "is there already and stays as it is" in outcome.err
    assert (tmp_path / "mailmig.toml").read_text() == "# mine\n"


def test_init_into_a_missing_folder_is_one_sentence(mailmig: Mailmig) -> None:
    outcome = mailmig("config", "init", "absent/mailmig.toml")
    assert outcome.code == 2
    assert outcome.err.startswith("mailmig: absent/mailmig.toml cannot be written: No such file")
    assert outcome.err.count("\n") == 1


def test_show_names_the_origin_of_each_value(mailmig: Mailmig, tmp_path: Path) -> None:
    (tmp_path / "mailmig.toml").write_text('[mailmig]\nlog_level = "info"\n')
    lines = mailmig("config", "show").out.splitlines()
    level = next(line for line in lines if line.startswith("mailmig.log_level"))
    state = next(line for line in lines if line.startswith("mailmig.state_folder"))
    assert level.split() == ["mailmig.log_level", '"info"', "mailmig.toml"]
    assert "MAILMIG_STATE" in state


@pytest.mark.parametrize("words", [("inventory", "list"), ("plan", "show"), ("report", "quota")])
def test_a_configuration_that_cannot_be_used_is_told_by_every_command(
    mailmig: Mailmig, tmp_path: Path, words: tuple[str, str]
) -> None:
    outcome = mailmig("--config", "absent.toml", *words)
    assert outcome.code == 2
    assert outcome.err == "mailmig: absent.toml: cannot be read: No such file or directory\n"
    (tmp_path / "mailmig.toml").write_text("[plna]\n")
    outcome = mailmig(*words)
    assert 'plna: there is no such table (did you mean "plan"?)' in outcome.err


def test_the_log_says_which_configuration_and_state_folder_hold(
    mailmig: Mailmig, tmp_path: Path
) -> None:
    text = '[mailmig]\nlog_file = "mailmig.log"\nlog_level = "info"\nstate_folder = "kept"\n'
    (tmp_path / "mailmig.toml").write_text(text)
    assert mailmig("inventory", "list").code == 0
    log = (tmp_path / "mailmig.log").read_text("utf-8")
    assert "configuration: mailmig.toml\n" in log
    assert "state folder: " in log


def test_a_named_file_that_is_missing_is_told(mailmig: Mailmig) -> None:
    outcome = mailmig("--config", "absent.toml", "config", "check")
    assert outcome.code == 2
    assert outcome.err == "mailmig: absent.toml: cannot be read: No such file or directory\n"


# --domain --------------------------------------------------------------------------------------


def test_a_domain_goes_with_nobody_at_the_terminal_only_if_all_is_said(
    mailmig: Mailmig, tmp_path: Path
) -> None:
    for words, said in (
        (("--domain", ""), "--domain is empty"),
        (("--domain", "."), "--domain is empty"),
        (("--account", "anna"), "go with --domain"),
        (("--domain", "a..b"), "is no name in DNS"),
    ):
        outcome = mailmig("config", "init", *words)
        assert outcome.code == 2 and said in outcome.err
    assert list(tmp_path.glob("*.toml")) == []

import tomllib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from mailmig import config
from mailmig.config import BadConfig, Config, Settings
from mailmig.model.secret import Secret
from mailmig.model.settings import setting

MARK = "lab-only-Geheimnis-3"


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True)
class Sample:
    """`[sample]`: one of each kind of setting."""

    name: str = setting("anna", "A text.")
    count: int = setting(3, "A number.")
    rate: float = setting(0.5, "A rate.")
    loud: bool = setting(False, "A switch.")
    folder: Path | None = setting(None, "A folder.", example="/tmp/x")
    names: tuple[str, ...] = setting((), "Several.")
    weights: dict[str, float] = setting({"full": 5.0}, "A table.")
    colour: Colour = setting(Colour.RED, "A choice.")
    password: Secret | None = setting(None, "A secret.")


def read(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "mailmig.toml"
    file.write_text(text, "utf-8")
    return config.load(file, ["mailmig", "sample"])


def test_every_kind_of_value_arrives(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        '[sample]\nname = "Jürgen"\ncount = 7\nrate = 2\nloud = true\nfolder = "state"\n'
        'names = ["a", "b"]\nweights = { send = 3 }\ncolour = "green"\n',
    ).section("sample", Sample)
    assert settings == Sample(
        "Jürgen", 7, 2.0, True, tmp_path / "state", ("a", "b"), {"send": 3.0}, Colour.GREEN
    )


def test_without_a_file_the_defaults_hold() -> None:
    assert config.load(None, ["sample"]).section("sample", Sample) == Sample()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[sampel]", 'sampel: there is no such table (did you mean "sample"?)'),
        ('name = "x"', "name: write the key below its table, one of [mailmig], [sample]"),
        ('[sample]\nnmae = "x"', 'sample.nmae: there is no such key (did you mean "name"?)'),
        ("[sample]\ncount = true", "sample.count: true is not a whole number"),
        ('[sample]\nrate = "x"', 'sample.rate: "x" is not a number'),
        ("[sample]\nname = 3", "sample.name: 3 is not a text"),
        ("[sample]\nnames = [1]", "sample.names[0]: 1 is not a text"),
        ('[sample]\nweights = { a = "x" }', 'sample.weights.a: "x" is not a number'),
        ('[sample]\ncolour = "gren"', 'sample.colour: "gren" is none of red, green (did you mean "green"?)'),
        ('[sample]\npassword = "geheim"', "sample.password: a secret is a reference, never a value"),
        ('[sample]\npassword = { envv = "X" }', "there is no kind of reference 'envv' (did you mean"),
        ('[sample]\npassword = { env = "MM_NOT_SET" }', "the environment variable MM_NOT_SET is not set"),
        ('[sample]\npassword = { file = "absent" }', "absent cannot be read"),
        ("sample = 3", "sample: is a table: write [sample] above its keys"),
        ("[sample", "is no TOML"),
        ('[mailmig]\nlog_level = "loud"', "log_level is one of debug, info, warning, error"),
    ],
)  # fmt: skip
def test_a_bad_configuration_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(BadConfig) as error:
        found = read(tmp_path, text)
        found.section("sample", Sample)
        found.section("mailmig", Settings)
    assert str(error.value).startswith(str(tmp_path / "mailmig.toml"))
    assert sentence in str(error.value)
    assert "geheim" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_secret_comes_from_a_file_that_only_we_may_read(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{MARK}\n")
    found = None
    file.chmod(0o644)
    with pytest.raises(BadConfig, match="may be read by others: chmod 600"):
        read(tmp_path, '[sample]\npassword = { file = "password" }').section("sample", Sample)
    file.chmod(0o600)
    found = read(tmp_path, '[sample]\npassword = { file = "password" }')
    assert found.section("sample", Sample).password == Secret(MARK)
    assert found.secrets == [Secret(MARK)]


def test_a_secret_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MM_TEST_SECRET", MARK)
    found = read(tmp_path, '[sample]\npassword = { env = "MM_TEST_SECRET" }')
    assert found.section("sample", Sample).password == Secret(MARK)
    assert all(MARK not in "".join(row) for row in config.describe(found, {"sample": Sample}))


def test_a_secret_comes_from_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    monkeypatch.setattr(
        keyring, "get_password", lambda *asked: MARK if asked == ("mailmig", "lab") else None
    )
    found = read(tmp_path, '[sample]\npassword = { keyring = "mailmig/lab" }')
    assert found.section("sample", Sample).password == Secret(MARK)
    with pytest.raises(BadConfig, match="the keyring holds nothing for mailmig/other"):
        read(tmp_path, '[sample]\npassword = { keyring = "mailmig/other" }').section(
            "sample", Sample
        )


def test_the_sample_file_is_valid_and_names_every_key(tmp_path: Path) -> None:
    text = config.sample({"mailmig": Settings, "sample": Sample})
    assert tomllib.loads(text) == {"mailmig": {}, "sample": {}}
    switched_on = "\n".join(
        line.removeprefix("#") if not line.startswith("# ") else line
        for line in text.splitlines()
        if not line.startswith("#password")
    )
    settings = read(tmp_path, switched_on).section("sample", Sample)
    assert settings == Sample(folder=Path("/tmp/x"))
    for key in ("state_folder", "log_file", "log_level", "weights", "password"):
        assert f"#{key} = " in text


def test_what_holds_is_shown_with_its_origin(tmp_path: Path) -> None:
    found = read(tmp_path, "[sample]\ncount = 9")
    rows = {
        key: (value, origin) for key, value, origin in config.describe(found, {"sample": Sample})
    }
    assert rows["sample.count"] == ("9", str(tmp_path / "mailmig.toml"))
    assert rows["sample.name"] == ('"anna"', "default")

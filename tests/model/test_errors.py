from mailmig.model.errors import BadFile, MissingExtra, nearest


def test_an_error_names_file_place_and_reason() -> None:
    error = BadFile("mailboxes.csv", "size_bytes is no number", "line 7")
    assert str(error) == "mailboxes.csv, line 7: size_bytes is no number"
    assert (error.file, error.where, error.reason) == (
        "mailboxes.csv", "line 7", "size_bytes is no number",
    )  # fmt: skip
    assert str(BadFile("x.xml", "is empty")) == "x.xml: is empty"


def test_a_missing_extra_says_how_to_get_it() -> None:
    assert "pip install 'mailmig[report]'" in str(MissingExtra("report", "an HTML report"))


def test_the_nearest_word_is_offered_only_when_it_is_near() -> None:
    assert nearest("state_foldr", ["state_folder", "log_file"]) == ' (did you mean "state_folder"?)'
    assert nearest("xyz", ["state_folder"]) == ""

"""The word search of ListSecrets and BatchGetSecretValue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.services.secretsmanager.domain_words import matches_words, tokens_of

WORDS = [
    ("test", ["test"]),
    ("MyTest", ["My", "Test"]),
    ("myTest", ["my", "Test"]),
    ("SecretFTag", ["Secret", "F", "Tag"]),
    ("Thirdsecret", ["Thirdsecret"]),
    ("COMPANY", ["COMPANY"]),
    ("COMPANYthings", ["COMPAN", "Ythings"]),
    ("uat/COMPANY/x", ["uat", "COMPANY", "x"]),
    ("prod/AppBeta/x", ["prod", "App", "Beta", "x"]),
    ("one and two", ["one", "and", "two"]),
    ("one\t two\n", ["one", "two"]),
    ("credsDatabase#892", ["creds", "Database", "892"]),
    ("my_Secret", ["my", "Secret"]),
    ("db12", ["db", "12"]),
    ("3rd", ["3rd"]),
    ("12Go", ["12", "Go"]),
    ("myDB", ["my", "DB"]),
    ("한글 암호Key", ["한글", "암호", "Key"]),
    ("+", []),
    (" -/_+=.@! ", []),
    ("", []),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_a_text_falls_into_these_words(text: str, words: list[str]) -> None:
    assert tokens_of(text) == words


FINDS = [  # recorded on AWS
    ("SecretOne", "SecretOne1a2b3c"),
    ("Secret", "SecretOne"),
    ("secret", "SecretTwo"),
    ("sec", "SecretFTag"),
    ("d", "DescTwo"),
    ("d t", "DescTwo"),
    ("t", "DescTwo"),
    ("t", "Thirdsecret"),
    ("t", "SecretFTag"),
    ("foo", "foo"),
    ("one two", "one two"),
    ("one two", "one and two"),
    ("o t", "one and two"),
    ("t", "two"),
    ("company", "uat/COMPANY/1a2b3c"),
    ("Ythings", "uat/COMPANYthings/1a2b3c"),
    ("1a2b3c", "uat/COMPANYthings/1a2b3c"),
    *[
        (value, name.replace("/", special))
        for value in ("AppBeta", "Beta", "prod", "1a2b3c")
        for name in ["prod/AppBeta/1a2b3c"]
        for special in "/_+=.@-"
    ],
]
MISSES = [  # recorded on AWS
    ("ret", "SecretOne"),
    ("secret", "Thirdsecret"),
    ("SomeSecret", "SecretOne"),
    ("SecretOne", "SecretTwo"),
    ("d t", "Thirdsecret"),
    ("d", "SecretOne"),
    ("one two", "one"),
    ("one two", "two"),
    ("one two", "unrelated"),
    ("things", "uat/COMPANYthings/1a2b3c"),
    ("N", "uat/COMPANYthings/1a2b3c"),
    ("pany", "uat/COMPANY/1a2b3c"),
    ("company", "uat/COMPANYthings/1a2b3c"),
    *[(special, f"prod{special}AppBeta{special}1a2b3c") for special in "/_+=.@-"],
]


@pytest.mark.parametrize(("value", "attribute"), FINDS)
def test_a_value_finds_what_aws_finds(value: str, attribute: str) -> None:
    assert matches_words(value, attribute)


@pytest.mark.parametrize(("value", "attribute"), MISSES)
def test_a_value_misses_what_aws_misses(value: str, attribute: str) -> None:
    assert not matches_words(value, attribute)


def test_a_text_of_several_special_characters_falls_apart_at_each() -> None:
    """Unverified: the user guide says so of punctuation in general; nobody recorded the mixture."""
    assert matches_words("AppBeta", "prod-AppBeta/1a2b3c")
    assert matches_words("carefully", "The password of prod-db. Use it carefully.")


def test_a_value_without_words_finds_nothing() -> None:
    assert not matches_words("", "anything")
    assert not matches_words(" ! ", "anything")


@given(st.text())
def test_words_keep_every_letter_and_digit_in_order(text: str) -> None:
    assert "".join(tokens_of(text)) == "".join(letter for letter in text if letter.isalnum())
    assert all(tokens_of(text))


@given(st.text())
def test_a_text_finds_itself_if_it_has_words(text: str) -> None:
    assert matches_words(text, text) == bool(tokens_of(text))

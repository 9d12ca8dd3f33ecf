"""GetRandomPassword: what a password is made of, and what is refused."""

import json
import string
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.context import Context
from geumgo.services.secretsmanager.domain_password import recipe
from geumgo.services.secretsmanager.errors import InvalidParameter
from geumgo.services.secretsmanager.random_password import get_random_password
from tests.house import House
from tests.services.secretsmanager.asking import refused

LETTERS = string.ascii_letters
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
TYPES = (string.ascii_lowercase, string.ascii_uppercase, string.digits, PUNCTUATION)
NOTHING_ASKED = cast("Context", None)  # the operation asks its context for nothing

NO_TYPES = {
    "ExcludeLowercase": True,
    "ExcludeUppercase": True,
    "ExcludeNumbers": True,
    "ExcludePunctuation": True,
}
NOTHING_LEFT = "All characters have been excluded from selection"
TYPE_EMPTIED = "All characters of the desired type have been excluded"
TOO_SHORT = "Password length is too short based on the required types."


def password(**request: Any) -> str:
    drawn = get_random_password(NOTHING_ASKED, request)["RandomPassword"]
    assert isinstance(drawn, str)
    return drawn


def refusal(request: dict[str, Any]) -> str | None:
    try:
        recipe(request)
    except InvalidParameter as refused:
        return refused.message
    return None


def test_a_password_has_32_characters_by_default_and_one_of_each_type() -> None:
    for _ in range(50):
        drawn = password()
        assert len(drawn) == 32
        assert all(set(characters) & set(drawn) for characters in TYPES)
        assert set(drawn) <= set("".join(TYPES))


@pytest.mark.parametrize(("member", "without"), list(zip(NO_TYPES, TYPES, strict=True)))
def test_an_excluded_type_never_occurs(member: str, without: str) -> None:
    assert not set(without) & set(password(PasswordLength=4096, **{member: True}))


def test_an_excluded_character_never_occurs() -> None:
    assert not set("/@\"'\\") & set(password(PasswordLength=4096, ExcludeCharacters="/@\"'\\"))


def test_a_space_occurs_only_if_it_is_included() -> None:
    assert " " not in password(PasswordLength=4096)
    assert password(PasswordLength=8, IncludeSpace=True, RequireEachIncludedType=False, **NO_TYPES) == " " * 8


def test_every_type_is_there_even_if_there_is_room_for_one_of_each_only() -> None:
    for _ in range(50):
        drawn = password(PasswordLength=4)
        assert sorted(next(n for n, of in enumerate(TYPES) if each in of) for each in drawn) == [0, 1, 2, 3]


def test_required_types_stand_anywhere() -> None:
    """With 200 draws the chance that the only digit never stands first is below 10^-24."""
    assert any(password(PasswordLength=4)[0] in string.digits for _ in range(200))


def test_types_that_are_not_required_may_be_missing_and_may_be_emptied() -> None:
    request = {"RequireEachIncludedType": False, "ExcludeCharacters": LETTERS + PUNCTUATION, "PasswordLength": 2}
    assert set(password(**request)) <= set(string.digits)


def test_two_passwords_differ() -> None:
    assert password() != password()


REFUSED: list[tuple[dict[str, Any], str]] = [
    (NO_TYPES, NOTHING_LEFT),
    ({**NO_TYPES, "IncludeSpace": True, "ExcludeCharacters": " "}, NOTHING_LEFT),
    ({"ExcludeCharacters": "".join(TYPES), "RequireEachIncludedType": False}, NOTHING_LEFT),
    ({"ExcludeCharacters": string.digits}, TYPE_EMPTIED),
    ({"ExcludeCharacters": PUNCTUATION, "RequireEachIncludedType": True}, TYPE_EMPTIED),
    ({"PasswordLength": 3}, TOO_SHORT),
    ({"PasswordLength": 1, "ExcludeNumbers": True, "ExcludePunctuation": True}, TOO_SHORT),
]


@pytest.mark.parametrize(("request_", "message"), REFUSED)
def test_a_recipe_that_cannot_be_followed_is_refused(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        password(**request_)
    assert (refused.value.code, refused.value.message) == ("InvalidParameterException", message)


REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "PasswordLength": st.integers(1, 4096),
        "ExcludeCharacters": st.text(st.sampled_from("".join(TYPES) + " é"), max_size=100),
        "IncludeSpace": st.booleans(),
        "RequireEachIncludedType": st.booleans(),
        **{member: st.booleans() for member in NO_TYPES},
    },
)


@given(REQUESTS)
def test_a_password_follows_its_recipe_or_is_refused(request_: dict[str, Any]) -> None:
    refused = refusal(request_)
    if refused is not None:
        assert refused in (NOTHING_LEFT, TYPE_EMPTIED, TOO_SHORT)
        return
    drawn = password(**request_)
    _, required, pool = recipe(request_)
    assert len(drawn) == request_.get("PasswordLength", 32)
    assert set(drawn) <= set(pool)
    assert not set(drawn) & set(request_.get("ExcludeCharacters", ""))
    assert all(set(characters) & set(drawn) for characters in required)


# -- through a client -------------------------------------------------------------------------------------------------


def test_the_trail_never_holds_a_password(house: House, sm: Any) -> None:
    drawn = sm.get_random_password(PasswordLength=40, ExcludePunctuation=True)["RandomPassword"]
    assert len(drawn) == 40
    records = [record for record in house.trail() if record["eventName"] == "GetRandomPassword"]
    assert [record["requestParameters"] for record in records] == [{"passwordLength": 40, "excludePunctuation": True}]
    assert drawn not in json.dumps(house.trail())


def test_whoever_draws_a_password_needs_the_right_to(house: House) -> None:
    nobody = house.client("secretsmanager", house.user("nobody"))
    with refused("AccessDeniedException"):
        nobody.get_random_password()


def test_a_password_has_4096_characters_at_most(sm: Any) -> None:
    """Source of the message: a user of AWS."""
    with refused(
        "ValidationException",
        "1 validation error detected: Value '5000' at 'passwordLength' failed to satisfy constraint: "
        "Member must have value less than or equal to 4096",
    ):
        sm.get_random_password(PasswordLength=5000)
    with refused("InvalidParameterException", TOO_SHORT):
        sm.get_random_password(PasswordLength=2)

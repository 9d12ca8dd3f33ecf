"""Signing in with a password, through a real client: what it gives, how long that lasts, and what the trail says."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.house import House, Key
from tests.services.geumgo.conftest import PASSWORD, Desk

NEW = "Another-Horse-9"


def works(house: House, key: Key) -> bool:
    try:
        house.client("sts", key).get_caller_identity()
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in ("InvalidClientTokenId", "ExpiredToken"):
            raise
        return False
    return True


def test_a_password_gives_a_session_of_the_user_for_an_hour(desk: Desk, house: House) -> None:
    made = desk.sign_in()
    arn = f"arn:aws:iam::{house.account}:user/ann"
    assert (made["Arn"], made["Account"], made["PasswordChangeRequired"]) == (arn, house.account, False)
    key = Key(*(made["Credentials"][name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))
    assert house.client("sts", key).get_caller_identity()["Arn"] == arn
    house.clock.turn(ms=3_599_999)
    assert works(house, key)
    house.clock.turn(ms=1)
    assert not works(house, key)


@pytest.mark.parametrize("seconds", [900, 43_200])
def test_a_session_lasts_as_long_as_was_asked(desk: Desk, seconds: int) -> None:
    expires = desk.sign_in(DurationSeconds=seconds)["Credentials"]["Expiration"]
    assert abs(expires.timestamp() * 1000 - desk.house.clock.now_ms() - seconds * 1000) < 1_000


@pytest.mark.parametrize("params", [{"DurationSeconds": 899}, {"DurationSeconds": 43_201}, {"MFACode": "12345x"}])
def test_what_does_not_fit_the_model_is_refused_without_being_repeated(
    desk: Desk, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = desk.house.client("geumgo")
    monkeypatch.setattr(
        client, "_serializer", client._serializer._serializer
    )  # which does not look at the model's bounds
    refusal = desk.refused(**params)
    assert refusal["Error"]["Code"] == "ValidationException"
    assert "12345x" not in str(refusal)


@pytest.mark.parametrize("name", ["\0", "12345x\0", "12345x\x1b[31m"])
def test_a_name_with_control_characters_is_refused_without_being_repeated(desk: Desk, name: str) -> None:
    """Nobody need be signed for this request: it must not be a fault of ours. No database of ours keeps NUL."""
    refusal = desk.refused(name)
    assert refusal["Error"]["Code"] == "ValidationException"
    assert "12345x" not in str(refusal)


def test_an_alias_names_the_account_too(desk: Desk, house: House) -> None:
    house.client("iam").create_account_alias(AccountAlias="our-house")
    assert desk.sign_in(account="our-house")["Account"] == house.account


def test_a_session_does_what_the_user_may_iam_included(desk: Desk, house: House) -> None:
    """Unlike one of GetSessionToken without a second factor. Source: the console does so on AWS."""
    key = desk.key()
    assert house.client("iam", key).list_users()["Users"]
    house.client("secretsmanager", key).create_secret(Name="db", SecretString="x")
    with pytest.raises(ClientError, match="AccessDenied"):
        house.client("kms", key).create_key()


# -- the end of a session ----------------------------------------------------------------------------------------------


def test_a_session_dies_with_the_password(desk: Desk, house: House) -> None:
    key = desk.key()
    house.client("iam").update_login_profile(UserName="ann", Password=NEW)
    assert not works(house, key)
    assert works(house, desk.key("ann", NEW))


def test_setting_the_same_password_again_ends_its_sessions(desk: Desk, house: House) -> None:
    key = desk.key()
    house.client("iam").update_login_profile(UserName="ann", Password=PASSWORD)
    assert not works(house, key)


def test_a_session_dies_with_the_login_profile_and_does_not_come_back_with_another(desk: Desk, house: House) -> None:
    key, iam = desk.key(), house.client("iam")
    iam.delete_login_profile(UserName="ann")
    assert not works(house, key)
    iam.create_login_profile(UserName="ann", Password=PASSWORD)
    assert not works(house, key)


def test_a_session_dies_with_the_user(desk: Desk, house: House) -> None:
    iam = house.client("iam")
    iam.create_user(UserName="carl")
    iam.create_login_profile(UserName="carl", Password=PASSWORD)
    key = desk.key("carl")
    assert works(house, key)
    iam.delete_login_profile(UserName="carl")
    iam.delete_user(UserName="carl")
    assert not works(house, key)


def test_an_administrator_reads_why_somebody_was_denied_in_the_console(desk: Desk, house: House) -> None:
    house.client("iam").put_user_policy(
        UserName="ann",
        PolicyName="only",
        PolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:Decode*","Resource":"*"}}',
    )
    key = desk.key()
    with pytest.raises(ClientError) as denied:
        house.client("kms", key).create_key()
    message = denied.value.response["ResponseMetadata"]["HTTPHeaders"]["x-geumgo-authorization-message"]
    said = house.client("sts", key).decode_authorization_message(EncodedMessage=message)["DecodedMessage"]
    assert '"kms:CreateKey"' in said


def test_a_session_gets_no_further_sessions_of_the_user(desk: Desk, house: House) -> None:
    with pytest.raises(ClientError, match="Cannot call GetSessionToken with session credentials"):
        house.client("sts", desk.key()).get_session_token()


# -- a password that must be changed -----------------------------------------------------------------------------------


def test_who_must_change_his_password_may_do_nothing_else(desk: Desk, house: House) -> None:
    house.client("iam").update_login_profile(UserName="ann", PasswordResetRequired=True)
    assert desk.sign_in()["PasswordChangeRequired"] is True
    key = desk.key()
    for service, operation in (("iam", "list_users"), ("secretsmanager", "list_secrets")):
        with pytest.raises(ClientError, match="no session policy allows"):
            getattr(house.client(service, key), operation)()
    house.client("iam", key).change_password(OldPassword=PASSWORD, NewPassword=NEW)
    assert not works(house, key)
    assert desk.sign_in("ann", NEW)["PasswordChangeRequired"] is False


def test_a_password_that_is_too_old_must_be_changed(desk: Desk, house: House) -> None:
    house.client("iam").update_account_password_policy(MinimumPasswordLength=8, MaxPasswordAge=30)
    house.clock.turn(ms=int(timedelta(days=30).total_seconds() * 1000) - 2_000)
    assert desk.sign_in()["PasswordChangeRequired"] is False
    assert desk.sign_in()["PasswordChangeRequired"] is True


def test_a_password_that_expired_for_good_opens_nothing(desk: Desk, house: House) -> None:
    house.client("iam").update_account_password_policy(MinimumPasswordLength=8, MaxPasswordAge=30, HardExpiry=True)
    desk.sign_in()
    house.clock.turn(ms=int(timedelta(days=30).total_seconds() * 1000))
    assert desk.code() == "SignInFailedException"


# -- the second factor -------------------------------------------------------------------------------------------------


def test_who_has_a_device_needs_its_code(desk: Desk, house: House) -> None:
    seed = desk.device("ann")
    code = desk.shown(seed)
    wrong = f"{(int(code) + 1) % 10**6:06}"
    assert desk.refused() == desk.refused("ann", "wrong") == desk.refused(MFACode=wrong)
    key = desk.key(MFACode=desk.shown(seed))
    house.client("iam").put_user_policy(
        UserName="ann",
        PolicyName="only",
        PolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*",'
        '"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}}',
    )
    assert house.client("iam", key).list_users()["Users"]


def test_a_code_is_good_once(desk: Desk) -> None:
    seed = desk.device("ann")
    code = desk.shown(seed)
    desk.sign_in(MFACode=code)
    assert desk.code(MFACode=code) == "SignInFailedException"


def test_a_device_of_somebody_else_is_no_help(desk: Desk) -> None:
    desk.device("ann")
    seed = desk.device("ben")
    assert desk.code(MFACode=desk.shown(seed)) == "SignInFailedException"


# -- the trail ---------------------------------------------------------------------------------------------------------


def test_the_trail_has_every_sign_in_as_cloudtrail_has_it(desk: Desk, house: House) -> None:
    desk.sign_in()
    desk.code("ann", "wrong")
    good, bad = desk.logins()
    user = house.client("iam").get_user(UserName="ann")["User"]
    for record in (good, bad):
        assert (record["eventSource"], record["eventType"]) == ("signin.amazonaws.com", "AwsConsoleSignIn")
        assert record["userIdentity"] == {
            "type": "IAMUser",
            "principalId": user["UserId"],
            "arn": user["Arn"],
            "accountId": house.account,
            "userName": "ann",
        }
        assert record["additionalEventData"] == {"MobileVersion": "No", "MFAUsed": "No"}
        assert record["recipientAccountId"] == house.account
        assert record["sourceIPAddress"] == "198.51.100.7"
        assert "errorCode" not in record
    assert good["responseElements"] == {"ConsoleLogin": "Success"}
    assert (bad["responseElements"], bad["errorMessage"]) == ({"ConsoleLogin": "Failure"}, "Failed authentication")


def test_the_trail_does_not_keep_what_was_typed_for_a_name(desk: Desk, house: House) -> None:
    desk.code(PASSWORD, "wrong")
    desk.code("ann", PASSWORD, account="999999999999")
    named, elsewhere = desk.logins()
    for record in (named, elsewhere):
        assert record["userIdentity"]["userName"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
        assert record["errorMessage"] == "No username found in supplied account"
    assert (named["recipientAccountId"], elsewhere["recipientAccountId"]) == (house.account, "")
    assert PASSWORD not in str(house.trail())


def test_the_trail_marks_what_was_done_with_a_session_of_the_console(desk: Desk, house: House) -> None:
    house.client("iam", desk.key()).list_users()
    house.client("iam").list_users()
    console, other = [record for record in house.trail() if record["eventName"] == "ListUsers"]
    assert console["sessionCredentialFromConsole"] == "true"
    assert "sessionCredentialFromConsole" not in other


def test_neither_password_nor_credentials_are_kept_anywhere(desk: Desk, house: House) -> None:
    made = desk.sign_in()["Credentials"]
    data = b"".join(path.read_bytes() for path in house.settings.data.rglob("*") if path.is_file())
    for secret in (PASSWORD, made["SecretAccessKey"], made["SessionToken"]):
        assert secret.encode() not in data

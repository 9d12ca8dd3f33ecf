"""The command line's own client signs as botocore does, finds its way as AWS's tools do, and says plainly what is missing."""

from datetime import UTC, datetime
from pathlib import Path

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from hypothesis import given
from hypothesis import strategies as st

from geumgo.cli.client import CONTENT_TYPE, Client, ClientError, Credentials, from_environment, read, signed

KEY = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "very/secret"}
PLACE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:7373", "AWS_DEFAULT_REGION": "us-east-1", "HOME": "/nowhere"}


@given(
    st.binary(max_size=64),
    st.text("abcABC/+=123", min_size=16, max_size=40),
    st.sampled_from(["", "token/+=="]),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001  hypothesis wants naive bounds
)
def test_it_signs_as_botocore_does(body: bytes, secret: str, token: str, at: datetime):
    at = at.replace(microsecond=0, tzinfo=UTC)
    client = Client("secretsmanager", "http://127.0.0.1:7373", "eu-west-1", Credentials("AKIAEXAMPLE", secret, token))
    ours = signed(client, "127.0.0.1:7373", "secretsmanager.ListSecrets", body, at)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: at.replace(tzinfo=None))
        headers = {"Content-Type": CONTENT_TYPE, "X-Amz-Target": "secretsmanager.ListSecrets"}
        request = AWSRequest("POST", "http://127.0.0.1:7373/", headers=headers, data=body)
        theirs = TheirCredentials("AKIAEXAMPLE", secret, token or None)
        botocore.auth.SigV4Auth(theirs, "secretsmanager", "eu-west-1").add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]


def test_the_endpoint_of_the_service_wins():
    environment = {**KEY, **PLACE, "AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://secrets.example"}
    assert from_environment("secretsmanager", environment).endpoint == "https://secrets.example"


def test_what_the_environment_does_not_say_is_in_the_files(tmp_path: Path):
    (tmp_path / "c").write_text("[default]\nregion = eu-west-1\nendpoint_url = http://a:1\n[profile b]\nregion = b\n")
    (tmp_path / "k").write_text(
        "[default]\naws_access_key_id = AKIAA\naws_secret_access_key = S%\naws_session_token = T\n"
    )
    files = {"AWS_CONFIG_FILE": str(tmp_path / "c"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "k")}
    found = from_environment("secretsmanager", files)
    assert (found.region, found.endpoint, found.credentials) == (
        "eu-west-1",
        "http://a:1",
        Credentials("AKIAA", "S%", "T"),
    )
    assert (
        from_environment("secretsmanager", {**files, "AWS_PROFILE": "b", **KEY, "AWS_ENDPOINT_URL": "http://b"}).region
        == "b"
    )


@pytest.mark.parametrize(
    ("missing", "says"),
    [("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL"), ("AWS_DEFAULT_REGION", "region"), ("AWS_SECRET_ACCESS_KEY", "Who asks")],
)
def test_what_is_missing_is_named(missing: str, says: str):
    environment = {name: value for name, value in {**KEY, **PLACE}.items() if name != missing}
    with pytest.raises(ClientError, match=says):
        from_environment("secretsmanager", environment)


def test_nothing_is_ever_sent_to_an_address_that_was_not_named():
    with pytest.raises(ClientError, match="Where is the server"):
        from_environment("secretsmanager", {**KEY, **PLACE, "AWS_ENDPOINT_URL": "127.0.0.1:7373"})


def test_a_secret_access_key_is_not_shown():
    assert "very/secret" not in repr(from_environment("secretsmanager", {**KEY, **PLACE}))


@pytest.mark.parametrize(
    ("status", "text", "says"),
    [
        (
            400,
            b'{"__type":"a#AccessDeniedException","Message":"no"}',
            "ListSecrets was refused: AccessDeniedException: no",
        ),
        (502, b"<html>", "status 502"),
        (200, b"[]", "not AWS's JSON"),
    ],
)
def test_a_refusal_is_one_sentence(status: int, text: bytes, says: str):
    with pytest.raises(ClientError, match=says):
        read("ListSecrets", status, text)

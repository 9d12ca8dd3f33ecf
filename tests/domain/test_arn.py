import pytest

from geumgo.domain.arn import Arn, NotAnArn, parse_arn, split_arn

SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-a1B2c3"


def test_an_arn_has_its_parts():
    arn = parse_arn(SECRET)
    assert arn == Arn("aws", "secretsmanager", "us-east-1", "111122223333", "secret:prod/db-a1B2c3")
    assert str(arn) == SECRET


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        (SECRET, "secret", "prod/db-a1B2c3"),
        ("arn:aws:iam::111122223333:role/path/app", "role", "path/app"),
        ("arn:aws:iam::111122223333:root", "", "root"),
        ("arn:aws:s3:::bucket/key:1", "bucket", "key:1"),
        ("arn:aws:sns:us-east-1:111122223333:topic", "", "topic"),
    ],
)
def test_a_resource_has_a_type_and_an_id(text, kind, name):
    arn = parse_arn(text)
    assert (arn.resource_type, arn.resource_id) == (kind, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "prod/db",
        "arn",
        "arn:aws:iam::111122223333",
        "arn::iam::1:user/a",
        "arn:aws:::1:x",
        "arn:aws:iam:::",
        "ARN:aws:iam::1:user/a",
    ],
)
def test_what_is_no_arn_is_refused(text):
    assert split_arn(text) is None
    with pytest.raises(NotAnArn):
        parse_arn(text)

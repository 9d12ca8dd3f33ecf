"""P10: a row that somebody edited in the database lends Config nobody's rights. It fails closed."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from structlog.testing import capture_logs

from tests.services.config.conftest import Watched
from tests.services.config.test_remediation import KIND, put, remediation, role


def edit(place: Watched, sql: str, **values: Any) -> None:
    with place.house.app.storage.writing() as tx:
        assert tx.run(sql, **values) > 0, sql


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("UPDATE config_recorder SET role_arn = :value", "arn:aws:iam::111122223333:role/admin"),
        ("UPDATE config_recorder SET recording = 0 WHERE name <> :value", "x"),
        ("UPDATE config_rule SET definition = :value", json.dumps({"Source": {"Owner": "AWS", "SourceIdentifier": "SECRETSMANAGER_USING_CMK"}})),
        ("UPDATE config_rule SET tags = :value", '{"team":"red"}'),
    ],
    ids=["role", "recording", "definition", "tags"],
)  # fmt: skip
def test_a_forged_rule_or_recorder_is_not_obeyed(place, put, sql, value):
    put("a")
    place.rule("SECRETSMANAGER_SECRET_UNUSED")
    edit(place, sql, value=value)
    with capture_logs() as logged:
        place.house.run_jobs()
        with pytest.raises(ClientError, match="InternalServiceError"):
            place.config.describe_config_rules() if "config_rule" in sql else place.config.describe_configuration_recorders()
    assert any("changed from outside" in str(line) or line.get("fault") == "Unsealable" for line in logged)
    with place.house.app.storage.reading() as tx:
        assert tx.all("SELECT * FROM config_verdict") == []


def test_a_forged_remediation_is_not_run(place):
    arn = place.secrets.create_secret(Name="a", SecretString="x")["ARN"]
    place.rule("SECRETSMANAGER_USING_CMK")
    place.house.run_jobs()
    made = remediation("Geumgo-TagSecret", role(place, "TagResource", "DeleteSecret"))
    put(place, made)
    place.config.start_remediation_execution(
        ConfigRuleName="rule", ResourceKeys=[{"resourceType": KIND, "resourceId": arn}]
    )
    worse = json.dumps({**made, "TargetId": "Geumgo-ScheduleSecretDeletion"})
    edit(place, "UPDATE config_remediation SET definition = :value", value=worse)
    place.house.run_jobs()
    assert "DeletedDate" not in place.secrets.describe_secret(SecretId="a")

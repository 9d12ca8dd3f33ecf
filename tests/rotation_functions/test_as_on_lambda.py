"""Functions that expect of Lambda what AWS's own rotation functions expect: their drivers, their authorities, TLS first and then none.

The code is ours. Source of what is expected: aws-samples/aws-secrets-manager-rotation-lambdas (2025), whose functions were tried unmodified.
"""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functions.zips import package
from tests.rotation_functions.on_lambda import PATIENCE_SECONDS, SETTINGS, Rotated, deploy
from tests.rotation_functions.targets import Target
from tests.server import Server

STEPS = """
import boto3, json, os

AUTHORITIES = "/etc/pki/tls/cert.pem"

def lambda_handler(event, context):
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    client = boto3.client("secretsmanager", endpoint_url=os.environ["SECRETS_MANAGER_ENDPOINT"])
    read = lambda **more: json.loads(client.get_secret_value(SecretId=arn, **more)["SecretString"])
    versions = client.describe_secret(SecretId=arn)["VersionIdsToStages"]
    if "AWSCURRENT" in versions[token]:
        return
    current = read(VersionStage="AWSCURRENT")
    if step == "createSecret":
        try:
            read(VersionId=token, VersionStage="AWSPENDING")
        except client.exceptions.ResourceNotFoundException:
            made = client.get_random_password(ExcludeCharacters=os.environ.get("EXCLUDE_CHARACTERS", "/@'"))["RandomPassword"]
            text = json.dumps({**current, "password": made})
            client.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=text, VersionStages=["AWSPENDING"])
        return
    pending = read(VersionId=token, VersionStage="AWSPENDING")
    if step == "setSecret":
        if not logged_in(pending):
            change(logged_in(current), pending)
    elif step == "testSecret":
        assert logged_in(pending)
    elif step == "finishSecret":
        was = next(version for version, labels in versions.items() if "AWSCURRENT" in labels)
        client.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=was)
        client.update_secret_version_stage(SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token)

def logged_in(secret):
    return connected(secret, True) or connected(secret, False)
"""
DRIVERS = {
    "postgres": """
import pg, pgdb

def connected(secret, tls):
    how = {"sslmode": "verify-full", "sslrootcert": AUTHORITIES} if tls else {"sslmode": "disable"}
    try:
        return pgdb.connect(host=secret["host"], port=secret["port"], user=secret["username"], password=secret["password"],
                            database="postgres", connect_timeout=5, **how)
    except pg.InternalError:
        return None

def change(connection, secret):
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(%s)", (secret["username"],))
        cursor.execute("ALTER USER " + cursor.fetchone()[0].replace("%", "%%") + " WITH PASSWORD %s", (secret["password"],))
        connection.commit()
""",
    "mariadb": """
import pymysql

def connected(secret, tls):
    try:
        return pymysql.connect(host=secret["host"], port=secret["port"], user=secret["username"], password=secret["password"],
                               connect_timeout=5, ssl={"ca": AUTHORITIES} if tls else None)
    except pymysql.OperationalError:
        return None

def change(connection, secret):
    with connection.cursor() as cursor:
        cursor.execute("SET PASSWORD = PASSWORD(%s)", secret["password"])
        connection.commit()
""",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = Path(tmp_path_factory.mktemp("as-on-lambda")) / "data"
    with Server(data, arguments=("--workers", "1"), environment=SETTINGS) as made:
        yield made


@pytest.mark.parametrize("target", list(DRIVERS), indirect=True)
def test_a_function_that_takes_lambdas_drivers_and_authorities_for_granted_rotates(
    server: Server, target: Target
) -> None:
    engine = target.module.ENGINE
    code = package(**{"lambda_function.py": STEPS + DRIVERS[engine]})
    rotated = Rotated(server, target, deploy(server, f"expects-{engine}", code))
    before = {name: each for name, each in rotated.first.items() if name != "ssl"}  # TLS is tried, then none
    rotated.client.put_secret_value(SecretId=rotated.secret, SecretString=json.dumps(before))
    rotated.await_end(rotated.begin(), 2 * PATIENCE_SECONDS)
    after = rotated.value()
    assert after["password"] != before["password"]
    assert target.logs_in(after)
    assert not target.logs_in(before)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (ended := ends(server, rotated.secret)) and time.monotonic() < deadline:  # the index follows the trail
        threading.Event().wait(0.1)
    assert ended == {"RotationSucceeded"}


def ends(server: Server, secret: str) -> set[str]:
    """How the rotations of a secret ended, as the trail has it."""
    asked = [{"AttributeKey": "ResourceName", "AttributeValue": secret}]
    events = server.client("cloudtrail").lookup_events(LookupAttributes=asked)["Events"]
    return {each["EventName"] for each in events} & {"RotationSucceeded", "RotationFailed", "RotationAbandoned"}

"""A signed request whose body botocore did not write."""

import json
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.house import ENDPOINT, House


def ask_raw(house: House, operation: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Status and parsed body of the answer."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{operation}"}
    data = json.dumps(body).encode()
    request = AWSRequest("POST", ENDPOINT + "/", headers, data)
    SigV4Auth(Credentials(house.admin.identity, house.admin.secret), "secretsmanager", "us-east-1").add_auth(request)
    sent = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    answer = house.send("POST", b"/", [*sent, (b"host", b"geumgo.test")], data)
    return answer.status, json.loads(answer.body)

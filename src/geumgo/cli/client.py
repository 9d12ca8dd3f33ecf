"""A small AWS client for the command line: credentials as AWS tools find them, Signature Version 4, JSON 1.1 and what is not.

Source of the signature: "Create a signed AWS API request", IAM user guide. Source of the variables and files: "Configuration and
credential file settings" and "Service-specific endpoints", AWS SDKs and tools reference guide.
"""

import configparser
import hashlib
import hmac
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

TIMEOUT_SECONDS: Final = 30.0
ANSWER_BYTES: Final = 16 << 20
CONTENT_TYPE: Final = "application/x-amz-json-1.1"


class ClientError(click.ClickException):
    """The call was not answered, or was refused. The message is a plain sentence. `code` is AWS's word for a refusal, or empty."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key. `repr` shows only its id."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"


@dataclass(frozen=True, slots=True)
class Client:
    """One service at one endpoint. `target` is what its operations are called by on the wire, where that is not `service`."""

    service: str
    endpoint: str
    region: str
    credentials: Credentials
    ca_file: str = ""
    target: str = ""

    def ask(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The answer. Raises ClientError."""
        body = json.dumps(params).encode()
        host = urlsplit(self.endpoint).netloc
        headers = signed(self, host, f"{self.target or self.service}.{operation}", body, datetime.now(UTC))
        status, text, _ = self._exchange("POST", "/", body, headers)
        return read(operation, status, text)

    def send(self, method: str, path: str, body: bytes, content_type: str) -> tuple[int, bytes, str]:
        """Status, body and x-amzn-errortype of the answer to a request that is not JSON 1.1. `path` has no query. Raises ClientError."""
        headers = {"content-type": content_type, "host": urlsplit(self.endpoint).netloc}
        return self._exchange(method, path, body, signature(self, method, path, headers, body, datetime.now(UTC)))

    def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, str]:
        url = urlsplit(self.endpoint)
        connection = self._connection(url.scheme, url.netloc)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_BYTES), answer.headers.get("x-amzn-errortype", "")
        except (OSError, http.client.HTTPException) as fault:
            raise ClientError(
                f"{self.endpoint} does not answer ({fault}). Is the server running, and is AWS_ENDPOINT_URL right?"
            ) from fault
        finally:
            connection.close()

    def _connection(self, scheme: str, place: str) -> http.client.HTTPConnection:
        if scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_file or None)
            return http.client.HTTPSConnection(place, timeout=TIMEOUT_SECONDS, context=context)
        return http.client.HTTPConnection(place, timeout=TIMEOUT_SECONDS)


def read(operation: str, status: int, text: bytes) -> dict[str, Any]:
    """The answer of `operation`. Raises ClientError if it is a refusal, or not one of AWS's."""
    try:
        found = json.loads(text or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ClientError(f"{operation} was answered with status {status} and something that is not AWS's JSON.")
    if status != 200:
        code = str(found.get("__type", status)).rpartition("#")[2]
        raise ClientError(f"{operation} was refused: {code}: {found.get('message', found.get('Message', ''))}", code)
    return found


def signed(client: Client, host: str, target: str, body: bytes, at: datetime) -> dict[str, str]:
    """The headers of a POST to `/`, its signature among them."""
    return signature(
        client, "POST", "/", {"content-type": CONTENT_TYPE, "host": host, "x-amz-target": target}, body, at
    )


def signature(
    client: Client, method: str, path: str, given: Mapping[str, str], body: bytes, at: datetime
) -> dict[str, str]:
    """The headers `given`, and those that sign them."""
    time = at.strftime("%Y%m%dT%H%M%SZ")
    headers = {**given, "x-amz-date": time}
    if client.credentials.session_token:
        headers["x-amz-security-token"] = client.credentials.session_token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{time[:8]}/{client.region}/{client.service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{client.credentials.secret_access_key}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"{client.credentials.access_key_id}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={key.hex()}"
    return headers


# -- where an AWS tool would look --------------------------------------------------------------------------------------


def from_environment(service: str, environment: Mapping[str, str], *, target: str = "") -> Client:
    """A client of `service` as the environment and the files of AWS tools say. Raises ClientError if something is missing."""
    profile = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or "default"
    config = section(environment, "AWS_CONFIG_FILE", "config", profile, f"profile {profile}")
    variable = {"secretsmanager": "SECRETS_MANAGER"}.get(service, service.upper())
    endpoint = (
        environment.get(f"AWS_ENDPOINT_URL_{variable}")
        or environment.get("AWS_ENDPOINT_URL")
        or config.get("endpoint_url", "")
    )
    if urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).netloc:
        raise ClientError("Where is the server? Set AWS_ENDPOINT_URL, for example to http://127.0.0.1:7373.")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or config.get("region", "")
    if not region:
        raise ClientError("Which region? Set AWS_DEFAULT_REGION, for example to us-east-1.")
    return Client(
        service,
        endpoint,
        region,
        credentials(environment, profile, config),
        environment.get("AWS_CA_BUNDLE", ""),
        target,
    )


def credentials(environment: Mapping[str, str], profile: str, config: Mapping[str, str]) -> Credentials:
    """Raises ClientError: there are none."""
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        return Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN", ""),
        )
    found = {**config, **section(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials", profile)}
    if not (found.get("aws_access_key_id") and found.get("aws_secret_access_key")):
        raise ClientError(
            "Who asks? Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE to a file that has them."
        )
    return Credentials(found["aws_access_key_id"], found["aws_secret_access_key"], found.get("aws_session_token", ""))


def section(environment: Mapping[str, str], variable: str, name: str, *titles: str) -> dict[str, str]:
    """The first section of the file that has one of `titles`. Empty: there is no such file or section."""
    home = Path(environment.get("HOME", "/"))
    path = Path(environment.get(variable) or home / ".aws" / name)
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as fault:
        raise ClientError(f"The file {path} cannot be read ({type(fault).__name__}).") from None
    return next((dict(parser[title]) for title in titles if parser.has_section(title)), {})

"""What is sent to a webhook: credentials as they are kept in their secret, and the request that is made of them. Pure.

Source: "Connections for API destinations", "API destinations as targets", EventBridge user guide; HttpParameters, API reference.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from geumgo.domain.input_template import InvalidInput, at_path, read_path

Params = Mapping[str, Any]

MEMBERS: Final = {
    "BASIC": "BasicAuthParameters",
    "API_KEY": "ApiKeyAuthParameters",
    "OAUTH_CLIENT_CREDENTIALS": "OAuthParameters",
}
"""The member of AuthParameters for each AuthorizationType."""

_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LISTS: Final = ("HeaderParameters", "QueryStringParameters", "BodyParameters")


class InvalidParameters(Exception):
    """The parameters of a connection do not go together. The message is for the caller, and holds none of them."""


class InvalidRequest(Exception):
    """No request can be made of this. The message holds nothing of the event or the credentials."""


# -- what is kept -----------------------------------------------------------------------------------------------------


def check_parameters(kind: str, parameters: Params) -> None:
    """Raises InvalidParameters unless the parameters are those of this AuthorizationType. Unverified: the messages."""
    wanted = MEMBERS[kind]
    if wanted not in parameters:
        raise InvalidParameters(f"AuthParameters must contain {wanted} for the authorization type {kind}.")
    others = [member for member in MEMBERS.values() if member != wanted and member in parameters]
    if others:
        raise InvalidParameters(f"AuthParameters must not contain {others[0]} for the authorization type {kind}.")
    if "ConnectivityParameters" in parameters:
        raise InvalidParameters("Private connectivity is not served here.")
    missing = [name for name in REQUIRED[wanted] if not parameters[wanted].get(name)]
    if wanted == "OAuthParameters":
        client = parameters[wanted].get("ClientParameters", {})
        missing += [name for name in ("ClientID", "ClientSecret") if not client.get(name)]
    if missing:
        raise InvalidParameters(f"{wanted} must contain {missing[0]}.")


REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "BasicAuthParameters": ("Username", "Password"),
    "ApiKeyAuthParameters": ("ApiKeyName", "ApiKeyValue"),
    "OAuthParameters": ("AuthorizationEndpoint", "HttpMethod"),
}


def secret_of(kind: str, parameters: Params) -> str:
    """What is kept in the connection's secret. Unverified: the names of the members."""
    own = parameters[MEMBERS[kind]]
    kept: dict[str, Any]
    if kind == "BASIC":
        kept = {"username": own["Username"], "password": own["Password"]}
    elif kind == "API_KEY":
        kept = {"api_key_name": own["ApiKeyName"], "api_key_value": own["ApiKeyValue"]}
    else:
        client = own["ClientParameters"]
        kept = {
            "client_id": client["ClientID"],
            "client_secret": client["ClientSecret"],
            "authorization_endpoint": own["AuthorizationEndpoint"],
            "http_method": own["HttpMethod"],
            "oauth_http_parameters": own.get("OAuthHttpParameters", {}),
        }
    return json.dumps({**kept, "invocation_http_parameters": parameters.get("InvocationHttpParameters", {})})


def public_of(parameters: Params) -> dict[str, Any]:
    """The parameters as DescribeConnection shows them: without password, key, client secret, and values that are said to be secret."""
    shown: dict[str, Any] = {}
    if "BasicAuthParameters" in parameters:
        shown["BasicAuthParameters"] = {"Username": parameters["BasicAuthParameters"]["Username"]}
    if "ApiKeyAuthParameters" in parameters:
        shown["ApiKeyAuthParameters"] = {"ApiKeyName": parameters["ApiKeyAuthParameters"]["ApiKeyName"]}
    if "OAuthParameters" in parameters:
        own = parameters["OAuthParameters"]
        shown["OAuthParameters"] = {
            "ClientParameters": {"ClientID": own["ClientParameters"]["ClientID"]},
            "AuthorizationEndpoint": own["AuthorizationEndpoint"],
            "HttpMethod": own["HttpMethod"],
        }
        if "OAuthHttpParameters" in own:
            shown["OAuthParameters"]["OAuthHttpParameters"] = _without_secrets(own["OAuthHttpParameters"])
    if "InvocationHttpParameters" in parameters:
        shown["InvocationHttpParameters"] = _without_secrets(parameters["InvocationHttpParameters"])
    return shown


def _without_secrets(http: Params) -> dict[str, Any]:
    return {
        name: [
            {member: value for member, value in each.items() if member != "Value" or not each.get("IsValueSecret")}
            for each in http[name]
        ]
        for name in _LISTS
        if name in http
    }


def parameters_from(kind: str, secret: str) -> dict[str, Any]:
    """The AuthParameters that `secret_of` was made of: what an update changes a part of."""
    kept = json.loads(secret)
    if kind == "BASIC":
        own = {"Username": kept["username"], "Password": kept["password"]}
    elif kind == "API_KEY":
        own = {"ApiKeyName": kept["api_key_name"], "ApiKeyValue": kept["api_key_value"]}
    else:
        own = {
            "ClientParameters": {"ClientID": kept["client_id"], "ClientSecret": kept["client_secret"]},
            "AuthorizationEndpoint": kept["authorization_endpoint"],
            "HttpMethod": kept["http_method"],
            **({"OAuthHttpParameters": kept["oauth_http_parameters"]} if kept.get("oauth_http_parameters") else {}),
        }
    http = kept.get("invocation_http_parameters")
    return {MEMBERS[kind]: own, **({"InvocationHttpParameters": http} if http else {})}


def merged(before: Params, changes: Params) -> dict[str, Any]:
    """`before` with what `changes` says; what is a structure is merged, lists are replaced."""
    after = dict(before)
    for name, value in changes.items():
        known = after.get(name)
        whole = name in ("OAuthHttpParameters", "InvocationHttpParameters")
        after[name] = (
            merged(known, value) if isinstance(value, Mapping) and isinstance(known, Mapping) and not whole else value
        )
    return after


# -- what is sent -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that waits to be sent. It may hold credentials: its `repr` shows nothing."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return "HttpRequest(***)"


def token_request(secret: str) -> HttpRequest:
    """The request for an access token.

    Source: RFC 6749, 4.4 and 2.3.1 (the client's credentials in the Authorization header). Unverified: that AWS sends them there.
    """
    kept = json.loads(secret)
    http = kept.get("oauth_http_parameters") or {}
    pair = f"{quote(kept['client_id'], safe='')}:{quote(kept['client_secret'], safe='')}"
    headers = {
        **_named(http.get("HeaderParameters", [])),
        "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
        "Accept": "application/json",
    }
    form = {"grant_type": "client_credentials", **_named(http.get("BodyParameters", []))}
    method = kept["http_method"]
    query = _named(http.get("QueryStringParameters", []))
    if method == "GET":
        return HttpRequest(method, _with_query(kept["authorization_endpoint"], {**form, **query}), headers, b"")
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return HttpRequest(method, _with_query(kept["authorization_endpoint"], query), headers, urlencode(form).encode())


def read_token(body: bytes) -> str | None:
    """The access token in an answer of the authorization endpoint, None if there is none. Source: RFC 6749, 5.1."""
    try:
        token = json.loads(body)["access_token"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return token if isinstance(token, str) and token.isascii() and token.isprintable() and token else None


def authorization(kind: str, secret: str, token: str | None) -> dict[str, str]:
    """The header by which the other side knows us."""
    kept = json.loads(secret)
    if kind == "BASIC":
        pair = f"{kept['username']}:{kept['password']}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    if kind == "API_KEY":
        return {kept["api_key_name"]: kept["api_key_value"]}
    return {"Authorization": f"Bearer {token}"}


def webhook_request(
    *,
    method: str,
    endpoint: str,
    secret: str,
    authorized_by: Mapping[str, str],
    target: Params,
    event: Params,
    text: str,
    key: str,
) -> HttpRequest:
    """The request for one event. What the connection says is stronger than what the target says; `key` marks repetitions.

    Raises InvalidRequest.
    """
    fixed: Params = json.loads(secret).get("invocation_http_parameters") or {}
    own: Params = target.get("HttpParameters", {})
    query = {**_of_event(own.get("QueryStringParameters", {}), event), **_named(fixed.get("QueryStringParameters", []))}
    headers = _joined(
        {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Amazon/EventBridge/ApiDestinations"},
        _of_event(own.get("HeaderParameters", {}), event),
        _named(fixed.get("HeaderParameters", [])),
        authorized_by,
        {"Idempotency-Key": key},
    )
    url = _with_query(_filled(endpoint, [_value(each, event) for each in own.get("PathParameterValues", [])]), query)
    body = b"" if method in _BODILESS else _with_members(text, fixed.get("BodyParameters", [])).encode()
    return HttpRequest(method, url, headers, body)


def _named(listed: Sequence[Params]) -> dict[str, str]:
    return {each["Key"]: each.get("Value", "") for each in listed if each.get("Key")}


def _joined(*each: Mapping[str, str]) -> dict[str, str]:
    """Headers of several sources: the later ones win, whatever the case of their names."""
    found: dict[str, tuple[str, str]] = {}
    for headers in each:
        found.update({name.lower(): (name, value) for name, value in headers.items()})
    return dict(found.values())


def _of_event(given: Mapping[str, str], event: Params) -> dict[str, str]:
    return {name: _value(value, event) for name, value in given.items()}


def _value(text: str, event: Params) -> str:
    """`text` itself, or what stands in the event where it leads to, if it is a JSON path."""
    if not text.startswith("$."):
        return text
    try:
        found = at_path(event, read_path(text))
    except InvalidInput:
        return text
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _filled(endpoint: str, values: list[str]) -> str:
    """The URL with each `*` of its path replaced by the next value, which stays one segment of the path."""
    parts = urlsplit(endpoint)
    pieces = parts.path.split("*")
    if len(pieces) - 1 > len(values):
        raise InvalidRequest("The endpoint has more wildcards than the target has values for.")
    if any(value in (".", "..", "") for value in values[: len(pieces) - 1]):
        raise InvalidRequest("A value for a wildcard of the endpoint is no segment of a path.")
    path = pieces[0] + "".join(quote(value, safe="") + piece for value, piece in zip(values, pieces[1:], strict=False))
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, parts.fragment))


def _with_query(url: str, query: Mapping[str, str]) -> str:
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query, quote_via=quote)}"


def _with_members(text: str, listed: Sequence[Params]) -> str:
    """The body with the connection's members in it, if it is a JSON object."""
    members = _named(listed)
    if not members:
        return text
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(body, dict):
        return text
    return json.dumps({**body, **members}, ensure_ascii=False, separators=(",", ":"))

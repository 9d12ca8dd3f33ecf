"""P24: a webhook reaches public addresses and what the operator listed, end to end through an API destination. The tripwire is never touched."""

from collections.abc import Iterator

import pytest

from tests.house import House
from tests.services.events.conftest import Log, listen, role, tell
from tests.services.events.endpoint import Endpoint, Tripwire, carried_by
from tests.services.events.test_webhooks import INVOKES, hook

PUBLIC = "1.1.1.1"
REFUSED = "REFUSED_ENDPOINT"


@pytest.fixture
def tripwire() -> Iterator[Tripwire]:
    made = Tripwire()
    yield made
    made.close()


def outcome(house: House, url: str) -> str:
    """What becomes of an event for the API destination at `url`: the code of its dead letter, or that it arrived."""
    dead = Log(house, "dead")
    arn = hook(house, url)
    listen(
        house.client("events"),
        arn,
        RoleArn=role(house, "invoker", INVOKES),
        DeadLetterConfig={"Arn": dead.arn},
        RetryPolicy={"MaximumRetryAttempts": 0},
    )
    tell(house.client("events"))
    house.run_jobs()
    letters = dead.lines()
    return letters[0]["attributes"]["ERROR_CODE"] if letters else "arrived"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "168.63.129.16",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "localhost", "a.localhost", "localhost.",
    ],
)  # fmt: skip
def test_no_webhook_goes_to_an_address_that_is_not_public(house: House, tripwire: Tripwire, host: str) -> None:
    carried_by(house, (), lambda _host, _port: ["127.0.0.1"])
    assert outcome(house, f"https://{host}:{tripwire.port}/") == REFUSED
    assert tripwire.touched == 0


@pytest.mark.parametrize("answers", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["fe80::1"], ["fd00::1"], ["::1"]])  # fmt: skip
def test_no_webhook_goes_to_a_name_that_leads_there(house: House, tripwire: Tripwire, answers: list[str]) -> None:
    carried_by(house, (), lambda _host, _port: answers)
    assert outcome(house, f"https://hooks.example.com:{tripwire.port}/") == REFUSED
    assert tripwire.touched == 0


def test_plain_http_is_refused_unless_it_is_listed(house: House, tripwire: Tripwire) -> None:
    carried_by(house, ("127.0.0.1",))
    assert outcome(house, f"http://127.0.0.1:{tripwire.port}/") == REFUSED
    assert tripwire.touched == 0


def test_a_name_that_leads_elsewhere_the_second_time_gains_nothing(house: House, tripwire: Tripwire) -> None:
    """127.0.0.2 is listed, and nobody listens there: the connection goes there or nowhere."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.2" if len(asked) == 1 else "127.0.0.1"]

    carried_by(house, ("127.0.0.2",), rebinding)
    assert outcome(house, f"https://hooks.example.com:{tripwire.port}/") == "TIMEOUT"
    assert asked == ["hooks.example.com"]
    assert tripwire.touched == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(house: House, tripwire: Tripwire, status: int) -> None:
    carried_by(house)
    with Endpoint() as endpoint:
        endpoint.answers = [(status, {"Location": f"http://127.0.0.1:{tripwire.port}/"}, b"")]
        assert outcome(house, endpoint.url) == "SDK_CLIENT_ERROR"
        assert len(endpoint.calls) == 1
    assert tripwire.touched == 0


def test_no_value_of_an_event_moves_the_request_elsewhere(house: House, tripwire: Tripwire) -> None:
    """Wildcards stand in the path; what fills them cannot become a host, a query or a header."""
    carried_by(house)
    with Endpoint() as endpoint:
        arn = hook(house, f"{endpoint.url}/in/*")
        http = {"PathParameterValues": ["$.detail.p"], "HeaderParameters": {"X-H": "$.detail.h"}}
        listen(house.client("events"), arn, RoleArn=role(house, "invoker", INVOKES), HttpParameters=http)
        for p, h in [
            (f"@127.0.0.1:{tripwire.port}/", "x"), ("../../admin", "x"), ("..", "x"), ("a?b#c", "x"), ("\r\nHost: x", "x"), ("x", "a\r\nX-Evil: 1"),
        ]:  # fmt: skip
            tell(house.client("events"), {"p": p, "h": h})
        house.run_jobs()
        assert sorted(call.path for call in endpoint.calls) == sorted(
            [f"/in/%40127.0.0.1%3A{tripwire.port}%2F", "/in/..%2F..%2Fadmin", "/in/a%3Fb%23c", "/in/%0D%0AHost%3A%20x"]
        )
        assert not any("x-evil" in call.headers for call in endpoint.calls)
    assert tripwire.touched == 0


def test_what_the_operator_listed_is_reached(house: House) -> None:
    """The honest twin: refusing everything would pass what stands above."""
    carried_by(house, ("http://hooks.internal",), lambda _host, _port: ["127.0.0.1"])
    with Endpoint() as endpoint:
        assert outcome(house, f"http://hooks.internal:{endpoint.port}/") == "arrived"
        assert endpoint.calls[0].headers["host"] == f"hooks.internal:{endpoint.port}"

"""What the pages count, and that what stands on them is bounded."""

import itertools
import socket
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from geumgo.context import NOBODY, Caller, Session
from geumgo.edge.metrics import Board, Page
from geumgo.edge.metrics_principals import PLACES, Principals
from tests.server import Server

ROLE = "arn:aws:iam::111122223333:role/app"


def user(name: str) -> Caller:
    return Caller("IAMUser", "111122223333", f"arn:aws:iam::111122223333:user/{name}", "AIDA")


def session_of_app(name: str) -> Caller:
    session = Session(ROLE, "AROA", "app", name, 0, 1)
    return replace(
        NOBODY, kind="AssumedRole", arn=f"arn:aws:sts::111122223333:assumed-role/app/{name}", session=session
    )


def shown(text: str, metric: str) -> dict[str, float]:
    """The values of a metric by the values of its labels, joined."""
    families = {each.name: each for each in text_string_to_metric_families(text)}
    return {
        "/".join(sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == metric
    }


def requests_of(board: Board) -> dict[str, float]:
    return shown(board.text(ready=True), "geumgo_principal_requests_total")


def test_requests_and_errors_are_counted_by_user_and_role_and_never_by_session():
    board = Board(["api-0", "api-1"])
    for name, caller in itertools.product(
        ("api-0", "api-1"), (user("ann"), session_of_app("one"), session_of_app("two"))
    ):
        board.page(name).answered("kms", "Decrypt", "", caller)
    board.page("api-0").answered("kms", "Decrypt", "AccessDeniedException", user("ann"))
    board.page("api-0").answered("", "", "MissingAuthenticationTokenException", NOBODY)
    text = board.text(ready=True)
    assert requests_of(board) == {"other": 0, "anonymous": 1, user("ann").arn: 3, ROLE: 4}
    assert shown(text, "geumgo_principal_errors_total") == {"other": 0, "anonymous": 1, user("ann").arn: 1, ROLE: 0}
    assert "two" not in text


def test_who_asks_most_has_a_place_of_his_own_and_the_sum_is_that_of_all():
    board = Board(["api-0"])
    page = board.page("api-0")
    for number in range(3 * PLACES):
        page.answered("kms", "Decrypt", "AccessDeniedException", user(f"once{number}"))
    for _ in range(100):
        page.answered("kms", "Decrypt", "", user("busy"))
    counted = requests_of(board)
    assert len(counted) == PLACES
    assert counted[user("busy").arn] > 90
    assert sum(counted.values()) == 3 * PLACES + 100
    assert sum(shown(board.text(ready=True), "geumgo_principal_errors_total").values()) == 3 * PLACES


def test_a_newcomer_does_not_push_out_who_asks_more():
    board = Board(["api-0"])
    page = board.page("api-0")
    for number, _ in itertools.product(range(PLACES), range(20)):
        page.answered("kms", "Decrypt", "", user(f"steady{number}"))
    for number, _ in itertools.product(range(2_000), range(3)):
        page.answered("kms", "Decrypt", "", user(f"new{number}"))
    assert not [name for name in requests_of(board) if "/new" in name]
    assert len(page._principals._candidates) <= 1_024


def test_a_process_that_is_started_again_goes_on_counting_and_all_are_added_up():
    board = Board(["api-0", "api-1"])
    for _ in range(2):
        page = Page(board._pages["api-0"])
        page.answered("kms", "Decrypt", "", user("ann"))
        page.waited(page.worked(), [0.001], 2)
    board.page("api-1").answered("kms", "Decrypt", "", user("ann"))
    board.page("api-1").answered("kms", "Decrypt", "AccessDeniedException", user("ann"))
    text = board.text(ready=False)
    assert requests_of(board)[user("ann").arn] == 4
    counted = shown(text, "geumgo_requests_total")
    assert counted == {"kms/Decrypt/": 3, "kms/Decrypt/AccessDeniedException": 1}
    assert shown(text, "geumgo_operation_seconds_count") == {"kms/Decrypt": 2}
    assert shown(text, "geumgo_throttled_requests_total") == {"": 4}
    assert "geumgo_ready 0\n" in text


def test_whoever_counts_in_a_process_counts_on_the_same_page():
    board = Board(["api-0"])
    for number in range(20):
        board.page("api-0").set(f'geumgo_connections{{process="{number}"}}', number)
        board.page("api-0").answered("kms", f"Operation{number}", "", user("ann"))
    text = board.text(ready=True)
    assert shown(text, "geumgo_connections") == {str(number): number for number in range(20)}
    assert set(shown(text, "geumgo_requests_total").values()) == {1}


@pytest.mark.parametrize("path", ['/a"b\\c/', "/" + "x" * 510 + "/"])
def test_every_path_of_a_principal_is_shown_as_it_is(path: str):
    board = Board(["api-0"])
    caller = replace(user("ann"), arn=f"arn:aws:iam::111122223333:user{path}{'n' * 64}")
    board.page("api-0").answered("kms", "Decrypt", "", caller)
    assert requests_of(board)[caller.arn] == 1


def test_a_name_that_is_longer_than_its_place_is_one_of_the_others():
    memory = memoryview(bytearray(PLACES * 768))
    principals = Principals(memory)
    principals.count("x" * 800, failed=True)
    assert dict(principals.items())['geumgo_principal_errors_total{principal="other"}'] == 1


def test_each_operation_has_a_histogram_of_its_own():
    board = Board(["api-0", "api-1"])
    for name in ("api-0", "api-1"):
        page = board.page(name)
        page.answered("kms", "Decrypt", "", NOBODY)
        page.answered("secretsmanager", "GetSecretValue", "", NOBODY)
        page.waited(page.worked(), [0.001, 0.2], 0)
    text = board.text(ready=True)
    assert shown(text, "geumgo_operation_seconds_count") == {"kms/Decrypt": 2, "secretsmanager/GetSecretValue": 2}
    assert shown(text, "geumgo_operation_seconds_sum")["secretsmanager/GetSecretValue"] == 0.4
    buckets = shown(text, "geumgo_operation_seconds_bucket")
    assert [buckets[f"kms/Decrypt/{bound}"] for bound in ("0.005", "0.1", "+Inf")] == [2, 2, 2]
    assert [buckets[f"secretsmanager/GetSecretValue/{bound}"] for bound in ("0.1", "0.5", "+Inf")] == [0, 2, 2]
    assert shown(text, "geumgo_request_seconds_count") == {"": 4}


def test_times_of_a_batch_that_found_no_space_are_given_to_no_operation():
    board = Board(["api-0"])
    page = board.page("api-0")
    page.answered("kms", "Decrypt", "", NOBODY)
    page.waited(page.worked(), [0.001, 0.2], 0)
    assert shown(board.text(ready=True), "geumgo_operation_seconds_count") == {}
    assert shown(board.text(ready=True), "geumgo_request_seconds_count") == {"": 2}


def test_a_real_server_shows_who_asked_for_what_and_nothing_secret(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        where = f"127.0.0.1:{free.getsockname()[1]}"
    with Server(tmp_path / "data", arguments=("--workers", "1", "--metrics", where)) as server:
        secrets = server.client("secretsmanager")
        secrets.create_secret(Name="never-shown", SecretString="hunter2")
        secrets.get_secret_value(SecretId="never-shown")
        account = server.client("sts").get_caller_identity()["Account"]
        text = urllib.request.urlopen(f"http://{where}/metrics", timeout=20).read().decode()
    assert shown(text, "geumgo_principal_requests_total")[f"arn:aws:iam::{account}:user/admin"] == 3
    assert shown(text, "geumgo_operation_seconds_count")["secretsmanager/GetSecretValue"] == 1
    assert "never-shown" not in text
    assert "hunter2" not in text

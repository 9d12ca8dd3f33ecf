"""Guesses that arrive together, at a real server with two processes."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import botocore.config
import botocore.session
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from geumgo.protocol.models import OWN
from geumgo.services.geumgo.domain import PAIR
from tests.server import Server

GUESSES = 40
PASSWORD = "Correct-Horse-9"


def test_guesses_that_arrive_together_are_all_counted(tmp_path: Path) -> None:
    with Server(tmp_path / "data", arguments=("--workers", "2")) as server:
        iam = server.client("iam")
        iam.create_user(UserName="ann")
        iam.create_login_profile(UserName="ann", Password=PASSWORD)
        account = server.client("sts").get_caller_identity()["Account"]
        session = botocore.session.Session()
        session.get_component("data_loader").search_paths.append(str(OWN))
        options = {"signature_version": UNSIGNED, "retries": {"total_max_attempts": 1}, "max_pool_connections": 16}
        client = session.create_client(
            "geumgo",
            region_name="us-east-1",
            endpoint_url=server.endpoint,
            config=botocore.config.Config(**options),
        )

        def guess(password: str) -> str:
            try:
                client.create_console_session(Account=account, UserName="ann", Password=password)
            except ClientError as refusal:
                code: str = refusal.response["Error"]["Code"]
                return code
            return "in"

        started = time.monotonic()
        with ThreadPoolExecutor(16) as threads:
            said = Counter(threads.map(guess, [f"wrong-{number}" for number in range(GUESSES)]))
        seconds = time.monotonic() - started
        waits_that_fit = sum(1 for failures in range(PAIR.free, 20) if 1000 << (failures - PAIR.free) <= seconds * 1000)
        assert set(said) == {"SignInFailedException", "ThrottlingException"}
        assert said["SignInFailedException"] <= PAIR.free + waits_that_fit

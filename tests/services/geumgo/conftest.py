"""A house with a user who may sign in."""

import base64
import re
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.services.geumgo import attempts
from geumgo.services.iam import totp
from tests.house import House, Key

PASSWORD = "Correct-Horse-9"


@pytest.fixture(autouse=True)
def own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a process of its own, as far as its pace goes."""
    monkeypatch.setattr(attempts, "_PACE", attempts.Pace(attempts.HASHES_PER_SECOND))


@dataclass
class Desk:
    """Where people sign in. A second passes with each attempt."""

    house: House

    def sign_in(self, user: str = "ann", password: str = PASSWORD, account: str = "", **params: Any) -> dict[str, Any]:
        self.house.clock.turn(ms=1_000)
        client = self.house.client("geumgo")
        said: dict[str, Any] = client.create_console_session(
            Account=account or self.house.account, UserName=user, Password=password, **params
        )
        return said

    def key(self, *arguments: str, **params: Any) -> Key:
        made = self.sign_in(*arguments, **params)["Credentials"]
        return Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    def refused(self, *arguments: str, **params: Any) -> dict[str, Any]:
        """The whole refusal, but for its request id and date."""
        with pytest.raises(ClientError) as refusal:
            self.sign_in(*arguments, **params)
        said: dict[str, Any] = refusal.value.response
        for name in ("RequestId", "HTTPHeaders"):
            said["ResponseMetadata"].pop(name)
        return said

    def code(self, *arguments: str, **params: Any) -> str:
        found: str = self.refused(*arguments, **params)["Error"]["Code"]
        return found

    def fail(self, times: int, user: str = "ann", password: str = "wrong") -> None:
        """So many failures, each as soon as it is let in."""
        for _ in range(times):
            refusal = self.refused(user, password)["Error"]
            if refusal["Code"] == "ThrottlingException":
                wait = re.search(r"Try again in (\d+) seconds", refusal["Message"])
                assert wait is not None, refusal
                self.house.clock.turn(ms=(int(wait[1]) - 1) * 1_000)
                refusal = self.refused(user, password)["Error"]
            assert refusal["Code"] == "SignInFailedException"

    def device(self, user: str) -> bytes:
        """An MFA device of the user's. Answers its seed."""
        iam = self.house.client("iam")
        made = iam.create_virtual_mfa_device(VirtualMFADeviceName=user)["VirtualMFADevice"]
        seed = base64.b32decode(made["Base32StringSeed"])
        step = totp.step_of(self.house.clock.now_ms())
        iam.enable_mfa_device(
            UserName=user,
            SerialNumber=made["SerialNumber"],
            AuthenticationCode1=totp.code(seed, step - 1),
            AuthenticationCode2=totp.code(seed, step),
        )
        self.house.clock.turn(ms=60_000)
        return seed

    def shown(self, seed: bytes) -> str:
        """What the device shows at the next attempt."""
        return totp.code(seed, totp.step_of(self.house.clock.now_ms() + 1_000))

    def logins(self) -> list[dict[str, Any]]:
        return [record for record in self.house.trail() if record["eventName"] == "ConsoleLogin"]


@pytest.fixture
def desk(house: House) -> Desk:
    house.user("ann", {"Effect": "Allow", "Action": ["iam:*", "secretsmanager:*"], "Resource": "*"})
    house.user("ben")
    house.client("iam").create_login_profile(UserName="ann", Password=PASSWORD)
    return Desk(house)

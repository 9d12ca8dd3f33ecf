"""How long Config's rule for unused secrets takes to judge 25,000 of them: `python -m tests.bench.bench_config`."""

import tempfile
import time
import uuid
from pathlib import Path

import pytest

from geumgo.services.secretsmanager import store
from geumgo.services.secretsmanager.records import Secret
from tests.clock import TurnedClock
from tests.house import House, turn_botocore

SECRETS = 25_000


def fill(house: House, count: int) -> None:
    """Secrets without values, as fast as rows can be written."""
    sealing, now_ms = house.app.worker._sealing, house.clock.now_ms()
    with house.app.storage.writing() as tx:
        for number in range(count):
            version = str(uuid.UUID(int=number))
            made = Secret(
                id=uuid.UUID(int=number).hex,
                partition="aws",
                account=house.account,
                region="us-east-1",
                name=f"team/{number:06}",
                suffix="AbCdEf",
                created_token=version,
                created_at_ms=now_ms - number,
                changed_at_ms=now_ms,
                stages={"AWSCURRENT": version},
            )
            store.add(tx, sealing, made)


def measured(house: House) -> str:
    wall, cpu = time.perf_counter(), time.process_time()
    house.run_jobs()
    return f"{time.perf_counter() - wall:.1f} s ({time.process_time() - cpu:.1f} s of CPU)"


def main() -> None:
    clock = TurnedClock(time.time_ns() // 1_000_000)
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        turn_botocore(patch, clock)
        house = House.build(Path(directory), clock)
        fill(house, SECRETS)
        role = house.client("iam").create_service_linked_role(AWSServiceName="config.amazonaws.com")["Role"]["Arn"]
        config = house.client("config")
        config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role})
        source = {"Owner": "AWS", "SourceIdentifier": "SECRETSMANAGER_SECRET_UNUSED"}
        config.put_config_rule(ConfigRule={"ConfigRuleName": "unused", "Source": source})
        print(f"{SECRETS} secrets, every verdict is new:     {measured(house)}")
        clock.turn(days=100)
        print(f"{SECRETS} secrets, every verdict changes:    {measured(house)}")
        clock.turn(days=1)
        print(f"{SECRETS} secrets, no verdict changes:       {measured(house)}")
        house.close()


if __name__ == "__main__":
    main()

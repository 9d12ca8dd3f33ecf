"""The policy on docs/parameter-store.md opens what the page says, and nothing else."""

import json
import re
from pathlib import Path

from tests.house import House
from tests.services.ssm.asking import names, put, refused, secret

PAGE = (Path(__file__).parents[3] / "docs" / "parameter-store.md").read_text("utf-8")


def test_the_policy_of_the_guide_reads_one_program_and_nothing_else(house: House) -> None:
    document = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0].replace("111122223333", house.account))
    admin, ann = house.client("ssm"), house.client("ssm", house.user("ann", *document["Statement"]))
    for name in ("/shop/prod/db/url", "/shop/prod/db/password", "/shop/test/db/password", "/shop/production"):
        put(admin, name, Type="SecureString")
    assert names(ann.get_parameters_by_path(Path="/shop/prod", Recursive=True, WithDecryption=True)) == [
        "/shop/prod/db/password",
        "/shop/prod/db/url",
    ]
    assert names(ann.get_parameters_by_path(Path="/shop/prod/", Recursive=True)) == ["/shop/prod/db/password", "/shop/prod/db/url"]  # fmt: skip
    assert secret(ann, "/shop/prod/db/password") == "v"
    for call in (
        lambda: ann.get_parameters_by_path(Path="/shop"),
        lambda: ann.get_parameter(Name="/shop/test/db/password"),
        lambda: ann.get_parameter(Name="/shop/production"),
        lambda: ann.put_parameter(Name="/shop/prod/x", Value="x", Type="String"),
        lambda: ann.get_parameter_history(Name="/shop/prod/db/url"),
    ):
        with refused("AccessDeniedException"):
            call()


def test_the_policies_of_the_guide_are_accepted(house: House) -> None:
    found = re.search(r"--policies '(\[.*?\])'", PAGE, re.DOTALL)
    assert found
    put(house.client("ssm"), "/shop/prod/token", Type="SecureString", Tier="Advanced", Policies=found[1])
    assert len(house.client("ssm").describe_parameters()["Parameters"][0]["Policies"]) == 3

"""Settings: where they come from, what is refused, and that each is documented."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from geumgo.settings import Settings, SettingsError, load

PAGE = Path(__file__).parents[1] / "docs" / "operate" / "settings.md"


def test_flags_win_over_the_environment_which_wins_over_the_file(tmp_path: Path):
    (tmp_path / "geumgo.toml").write_text('workers = 1\nlisten = "127.0.0.1:1"\nregions = ["eu-west-1", "eu-west-2"]\n')
    environment = {"GEUMGO_WORKERS": "2", "GEUMGO_LISTEN": "127.0.0.1:2", "GEUMGO_DATA": str(tmp_path)}
    found = load({"listen": "[::1]:3", "workers": None}, environment)
    assert (found.workers, found.listen, found.regions) == (2, "[::1]:3", ("eu-west-1", "eu-west-2"))
    assert found.data == tmp_path


def test_the_region_of_aws_counts_where_none_is_set(tmp_path: Path):
    assert load({"data": tmp_path}, {"AWS_REGION": "eu-west-1"}).regions == ("eu-west-1",)
    assert load({"data": tmp_path}, {"AWS_REGION": "eu-west-1", "GEUMGO_REGIONS": "us-west-2"}).regions == (
        "us-west-2",
    )
    assert load({"data": tmp_path}, {}).regions == ("us-east-1",)


def test_a_list_in_the_environment_has_commas(tmp_path: Path):
    assert load({"data": tmp_path}, {"GEUMGO_TRUSTED_PROXIES": "10.0.0.0/8, ::1"}).trusted_proxies == (
        "10.0.0.0/8",
        "::1",
    )


def test_an_unknown_key_is_an_error_that_names_the_nearest(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"GEUMGO_WORKER in the environment\. Did you mean workers\?"):
        load({"data": tmp_path}, {"GEUMGO_WORKER": "2"})
    (tmp_path / "geumgo.toml").write_text("max_bodybytes = 1")
    with pytest.raises(SettingsError, match=r"max_bodybytes in .*geumgo\.toml\. Did you mean max_body_bytes\?"):
        load({"data": tmp_path}, {})


def test_a_file_that_was_named_must_be_there(tmp_path: Path):
    with pytest.raises(SettingsError, match="No such file"):
        load({}, {}, tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", "7373"), ("listen", "a:70000"), ("listen", "::1:80"), ("listen", ""), ("metrics", "x"), ("regions", ""),
        ("regions", "mars"), ("account", "123"), ("workers", "-1"), ("workers", "many"), ("workers", "1.5"), ("seal", "wax"),
        ("seal", "passphrase"), ("tls_key", "k"), ("log_level", "loud"), ("log_format", "xml"), ("max_body_bytes", "0"),
        ("idle_seconds", "nan"), ("idle_seconds", "inf"), ("request_seconds", "-1"), ("trusted_proxies", "everyone"),
        ("max_waiting_bytes", "10"), ("grace_seconds", "0"), ("segment_bytes", "1"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_refused_with_the_name_of_the_setting(tmp_path: Path, name: str, value: str):
    with pytest.raises(SettingsError, match=r"^The setting '(tls_certificate|passphrase_file|" + name + r")'"):
        load({"data": tmp_path}, {f"GEUMGO_{name.upper()}": value})


@pytest.mark.parametrize(
    "text", ["workers = true", 'workers = "1x"', "listen = 1", "regions = [1]", "regions = 1", "= 1"]
)
def test_a_file_with_a_value_of_the_wrong_type_is_refused(tmp_path: Path, text: str):
    (tmp_path / "geumgo.toml").write_text(text)
    with pytest.raises(SettingsError):
        load({"data": tmp_path}, {})


def test_every_setting_is_documented_with_its_default_and_no_other_is():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert rows.keys() == {each.name for each in fields(Settings)}
    for each in fields(Settings):
        assert rows[each.name] == f"`{shown(each.default)}`", each.name


def shown(default: object) -> str:
    if isinstance(default, tuple):
        return ", ".join(default) or '""'
    if isinstance(default, bool):
        return str(default).lower()
    return str(default) or '""'


def test_every_setting_says_its_reason():
    assert all(each.metadata["says"] for each in fields(Settings))


def test_a_host_that_could_never_be_called_ends_the_start_in_a_plain_sentence_and_leaves_nothing(tmp_path: Path):
    environment = {"PATH": os.environ["PATH"], "GEUMGO_OUTGOING_HOSTS": "127.1"}
    command = [sys.executable, "-m", "geumgo", "serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "The setting 'outgoing_hosts' cannot be used: '127.1' is no host name, address or network." in done.stderr
    assert not (tmp_path / "data").exists()

"""Credentials in memory, and the operator's file of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from qm.accounts.v1 import accounts_pb2 as pb

from mesh.config import ConfigError
from services.execution.live.credentials import Aws, Azure, Ibm, Ionq, credentials_of, read_operator_credentials

SECRET = "a-secret-that-must-never-show"
IDS = [f"{number}0000000-0000-4000-8000-000000000000" for number in range(3)]
WHOLE = f"""
[ibm]
token = "{SECRET}"
instance = "crn:v1:x"
[aws]
access_key_id = "AKIATESTTESTTEST1234"
secret_access_key = "{SECRET}"
region = "us-east-1"
s3_bucket = "amazon-braket-x"
[azure]
subscription_id = "{IDS[0]}"
resource_group = "group"
workspace = "space"
tenant_id = "{IDS[1]}"
client_id = "{IDS[2]}"
client_secret = "{SECRET}"
[ionq]
api_key = "{SECRET}"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "providers.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_the_operators_file_has_a_table_for_each_provider(tmp_path: Path) -> None:
    assert read_operator_credentials(written(tmp_path, WHOLE)) == {
        "ibm": Ibm(SECRET, "crn:v1:x", "ibm_quantum_platform"),
        "aws": Aws("AKIATESTTESTTEST1234", SECRET, "us-east-1", "amazon-braket-x"),
        "azure": Azure(IDS[0], "group", "space", IDS[1], IDS[2], SECRET),
        "ionq": Ionq(SECRET),
    }


def test_no_credentials_show_themselves(tmp_path: Path) -> None:
    assert SECRET not in repr(read_operator_credentials(written(tmp_path, WHOLE)))


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, WHOLE)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="0600"):
        read_operator_credentials(file)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f'[ibm]\ntoken = "{SECRET}"\nspeed = 3', r"\[ibm\] is not right"),
        (f'[ibm]\ntoken = "{SECRET} {SECRET}"\ninstance = "crn"', r"\[ibm\] is not right"),
        (f'[dwave]\ntoken = "{SECRET}"', r"\[dwave\] is not right"),
        (f'[ionq]\napi_key = "{SECRET}', "is no TOML"),
    ],
)
def test_a_wrong_file_is_refused_without_a_word_of_what_is_in_it(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as refused:
        read_operator_credentials(written(tmp_path, text))
    assert SECRET not in f"{refused.value} {refused.value.__cause__}"


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_operator_credentials(tmp_path / "nowhere")


def test_a_message_without_a_provider_is_none() -> None:
    with pytest.raises(ValueError, match="no provider"):
        credentials_of(pb.ProviderCredentials())

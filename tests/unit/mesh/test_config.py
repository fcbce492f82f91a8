"""A configuration is refused with the file and the key that is wrong, and shows no secret."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mesh.config import ConfigError, MeshConfig, load

LEAST = 'listen = "127.0.0.1:7101"\nidentity_folder = "/identity"\n'


class ServiceConfig(MeshConfig, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A service's own, with a part of its own."""

    pools: dict[str, int] = msgspec.field(default_factory=dict)


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "billing.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_the_least_is_an_address_and_an_identity(tmp_path: Path) -> None:
    config = load(write(tmp_path, LEAST), MeshConfig)
    assert (config.listen, config.identity_folder) == ("127.0.0.1:7101", Path("/identity"))
    assert (config.database, config.events, config.peers, config.drain_seconds) == (None, None, {}, 10.0)
    assert (config.telemetry.log_level, config.telemetry.otlp_endpoint) == ("info", "")


def test_a_service_extends_it(tmp_path: Path) -> None:
    text = (
        LEAST + "[pools]\naer = 2\n[database]\nurl = 'postgresql://billing@db:5432/qmumma'\npassword_file = '/run/p'\n"
    )
    config = load(write(tmp_path, text), ServiceConfig)
    assert config.pools == {"aer": 2}
    assert config.database is not None
    assert config.database.password_file == Path("/run/p")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(LEAST + "colour = 1", ["`colour`"], id="unknown key"),
        pytest.param(
            LEAST + "[database]\nurl = 'postgresql://x'\nshape = 1", ["`shape`", "$.database"], id="unknown key below"
        ),
        pytest.param(LEAST + "[pools]\naer = 'two'", ["$.pools"], id="wrong type"),
        pytest.param("listen = '127.0.0.1:1'", ["`identity_folder`"], id="missing key"),
        pytest.param(LEAST.replace(":7101", ""), ["$.listen"], id="address without a port"),
        pytest.param(LEAST + "[peers]\nrouting = 'nowhere'", ["$.peers"], id="peer without a port"),
        pytest.param(LEAST + "[database]\nurl = 'x'\npool_size = 0", ["$.database.pool_size"], id="empty pool"),
        pytest.param(LEAST + "drain_seconds = -1", ["$.drain_seconds"], id="negative time"),
        pytest.param(LEAST + "[telemetry]\nlog_level = 'loud'", ["loud", "$.telemetry.log_level"], id="unknown level"),
        pytest.param(LEAST + "[telemetry]\notlp_endpoint = 'here'", ["$.telemetry.otlp_endpoint"], id="no URL"),
        pytest.param("listen = ", ["not valid TOML"], id="no TOML"),
        pytest.param(b"listen = '\xff'", ["not valid TOML"], id="no UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, text: str | bytes, words: list[str]) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        load(file, ServiceConfig)
    said = str(refused.value)
    assert str(file) in said
    assert all(word in said for word in words), said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*nothing\.toml: No such file"):
        load(tmp_path / "nothing.toml", MeshConfig)


@pytest.mark.parametrize(
    "section",
    [
        "[database]\nurl = 'postgresql://billing:hunter2@db:5432/qmumma'",
        "[events]\nurl = 'tls://a:4222,tls://user:hunter2@b:4222'",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(tmp_path: Path, section: str) -> None:
    with pytest.raises(ConfigError, match="a password does not belong in a URL") as refused:
        load(write(tmp_path, LEAST + section), MeshConfig)
    assert "hunter2" not in str(refused.value)


def test_the_content_of_a_password_file_is_in_no_repr(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2")
    text = LEAST + f"[database]\nurl = 'postgresql://billing@db/qmumma'\npassword_file = '{tmp_path / 'password'}'"
    assert "hunter2" not in repr(load(write(tmp_path, text), MeshConfig))


def test_a_configuration_does_not_change(tmp_path: Path) -> None:
    config = load(write(tmp_path, LEAST), MeshConfig)
    with pytest.raises(AttributeError):
        config.listen = "elsewhere"  # type: ignore[misc]
    assert msgspec.structs.asdict(config)["listen"] == "127.0.0.1:7101"

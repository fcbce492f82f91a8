"""Credentials in memory, never shown: from accounts, where teams keep theirs, or from a file of the operator's."""

from __future__ import annotations

import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from google.protobuf import json_format
from protovalidate import ValidationError, validate
from qm.accounts.v1 import accounts_pb2

from mesh.config import ConfigError


@dataclass(frozen=True, slots=True)
class Ibm:
    """An API key and an instance of IBM Quantum."""

    token: str = field(repr=False)
    instance: str
    channel: str = "ibm_quantum_platform"


@dataclass(frozen=True, slots=True)
class Aws:
    """An access key, and the bucket for results."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str
    s3_bucket: str


@dataclass(frozen=True, slots=True)
class Azure:
    """An application of a tenant, and a workspace."""

    subscription_id: str
    resource_group: str
    workspace: str
    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ionq:
    """An API key of IonQ."""

    api_key: str = field(repr=False)


Credentials: TypeAlias = Ibm | Aws | Azure | Ionq


def credentials_of(message: accounts_pb2.ProviderCredentials) -> Credentials:
    """The credentials of a message; its own text would show them."""
    match message.WhichOneof("provider"):
        case "ibm":
            ibm = message.ibm
            return Ibm(ibm.token, ibm.instance, ibm.channel or "ibm_quantum_platform")
        case "aws":
            aws = message.aws
            return Aws(aws.access_key_id, aws.secret_access_key, aws.region, aws.s3_bucket)
        case "azure":
            mine = message.azure
            return Azure(
                mine.subscription_id,
                mine.resource_group,
                mine.workspace,
                mine.tenant_id,
                mine.client_id,
                mine.client_secret,
            )
        case "ionq":
            return Ionq(message.ionq.api_key)
        case _:
            raise ValueError("credentials of no provider")


def read_operator_credentials(path: Path) -> dict[str, Credentials]:
    """The operator's credentials by provider, from a TOML file with one table each, which others cannot read.

    The tables have the members of the messages in accounts.proto. Raises ConfigError, without a word of a value.
    """
    found: dict[str, Credentials] = {}
    try:
        if path.stat().st_mode & stat.S_IRWXO:
            raise ConfigError(f"the credentials file {path} is open to other users; make it mode 0600")
        tables = tomllib.loads(path.read_text("utf-8"))
        for provider, table in tables.items():
            credentials = json_format.ParseDict({provider: table}, accounts_pb2.ProviderCredentials())
            validate(credentials)
            found[provider] = credentials_of(credentials)
    except OSError as error:
        raise ConfigError(f"cannot read the credentials file {path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError:
        raise ConfigError(f"the credentials file {path} is no TOML") from None
    except (json_format.ParseError, ValidationError):
        message = "one table each for ibm, aws, azure and ionq, with the members that accounts.proto names"
        raise ConfigError(f"the credentials file {path}: [{provider}] is not right; it takes {message}") from None
    return found

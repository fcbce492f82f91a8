"""Which implementation of ML-DSA-65 signs here."""

from __future__ import annotations

from collections.abc import Mapping

from services.signing.liboqs import LibOqs
from services.signing.mldsa import OpenSsl, Provider, ProviderMissingError, ProviderName


def choose_provider(name: ProviderName, environment: Mapping[str, str]) -> Provider:
    """Return the provider an operator named; `auto` is liboqs where it is complete, else OpenSSL.

    `environment` is where OQS_INSTALL_PATH is looked up. Raises ProviderMissingError for an absent `oqs`.
    """
    if name == "openssl":
        return OpenSsl()
    try:
        return LibOqs(environment)
    except ProviderMissingError:
        if name == "oqs":
            raise
        return OpenSsl()

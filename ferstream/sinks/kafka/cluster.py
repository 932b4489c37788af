"""Where a Kafka cluster is, how to be let in, and whom to trust."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Security = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaCluster:
    """Where a Kafka cluster is, how to be let in, and whom to trust.

    Attributes:
        brokers: Brokers to start from: ``host:port``, separated by commas.
        client_id: Name of this client in the logs and quotas of the brokers.
        security: ``plaintext``, ``ssl`` (TLS), ``sasl_plaintext`` or ``sasl_ssl`` (TLS and a password).
        sasl_mechanism: How the password is proven, with ``sasl_plaintext`` and ``sasl_ssl``.
        username: User name, with ``sasl_plaintext`` and ``sasl_ssl``.
        password: Its password; never shown.
        ca_file: Certificates to trust, PEM; None = those of the system.
        cert_file: Certificate of this client, PEM.
        key_file: Its key, PEM.
    """

    brokers: str
    client_id: str = "ferstream"
    security: Security = "plaintext"
    sasl_mechanism: SaslMechanism = "PLAIN"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @property
    def label(self) -> str:
        """``kafka://host:port,host:port``: safe to show."""
        return f"kafka://{self.brokers}"

    def properties(self) -> dict[str, str]:
        """Return the settings of librdkafka for this connection."""
        values = {
            "bootstrap.servers": self.brokers,
            "client.id": self.client_id,
            "security.protocol": self.security,
            "ssl.ca.location": self.ca_file,
            "ssl.certificate.location": self.cert_file,
            "ssl.key.location": self.key_file,
        }
        if self.security.startswith("sasl"):
            values |= {"sasl.mechanism": self.sasl_mechanism, "sasl.username": self.username, "sasl.password": self.password}
        return {key: str(value) for key, value in values.items() if value is not None}

"""TLS to cameras: which certificates are trusted. Certificates are verified unless a camera's settings say otherwise.

libav's TLS library (GnuTLS in PyAV's wheel) finds the system's certificates on some systems only. So libav is always
given a file of certificates, the same that Python's TLS uses here.
"""

from __future__ import annotations

import importlib.util
import os
import ssl
from pathlib import Path

from ferstream.errors import SourceError

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep the certificates of the public authorities, as one PEM file."""


def ca_bundle() -> Path:
    """Return the PEM file of the certificates that this system trusts: ``SSL_CERT_FILE``, the distribution's, or certifi's.

    Raises:
        SourceError: This system has none.
    """
    named = ssl.get_default_verify_paths().cafile
    for candidate in (os.environ.get("SSL_CERT_FILE"), named, *_BUNDLES):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    spec = importlib.util.find_spec("certifi")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder, "cacert.pem")).is_file():
            return path
    raise SourceError("this system has no file of trusted certificates; install ca-certificates, or set ca_file of the camera")


def client_context(ca_file: Path | None, *, verify: bool) -> ssl.SSLContext:
    """Return the TLS settings for connections to one camera.

    Args:
        ca_file: PEM file of the certificates to trust; None for those of the system.
        verify: Whether the certificate must be valid; otherwise any certificate and old versions of TLS are accepted.

    Raises:
        SourceError: The file cannot be read or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        return context
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # ca_file may be the camera's own certificate
    path = ca_file or ca_bundle()
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise SourceError(f"ca_file {path}: holds no certificate in PEM form") from None
    except OSError as exc:
        raise SourceError(f"ca_file {path}: cannot be read ({type(exc).__name__})") from None
    return context


def libav_options(ca_file: Path | None, *, verify: bool) -> dict[str, str]:
    """Return libav's options for the same rules; see ``client_context``."""
    if not verify:
        return {"tls_verify": "0"}
    return {"tls_verify": "1", "ca_file": os.fspath((ca_file or ca_bundle()).absolute())}


def tls_failure(exc: ssl.SSLError) -> tuple[str, str]:
    """Return in words why there is no TLS connection, and what to do about it."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        why = (exc.verify_message or "not valid").rstrip(".")
        return f"the certificate is not trusted: {why}", "set ca_file of the camera to its certificate or authority"
    return "no TLS connection", "does this port speak TLS? check the port; a camera without TLS is http:// or rtsp://"

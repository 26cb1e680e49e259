"""A self-made certificate for `--tls`, good for this machine's own name and nothing else."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from voiced.errors import VoicedError


def self_made(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for localhost in `folder`.

    Returns:
        The certificate, which a client names in SSL_CERT_FILE, and the server's context.

    Raises:
        VoicedError: the program openssl is missing or failed.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", "30", "-subj", "/CN=voiced emulator"),
        *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    except FileNotFoundError as error:
        raise VoicedError("--tls needs the program openssl: apt install openssl") from error
    except subprocess.SubprocessError as error:
        raise VoicedError(f"openssl made no certificate: try `{' '.join(command)}`") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context

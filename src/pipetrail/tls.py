"""TLS contexts for API servers, from the certificates that a login gives as PEM texts."""

import ssl
import tempfile
from pathlib import Path


def context(*, ca: str | None, cert: str | None, key: str | None, insecure: bool) -> ssl.SSLContext:
    """The context for a server.

    :param ca: whom to trust; the system's authorities when None.
    :param cert: the client's own certificate, with its ``key``.
    :param insecure: trust anybody.
    :raises OSError: when a certificate can't be used; ``ssl.SSLError`` is one.
    """
    found = ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()
    if insecure:
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
    if cert and key:
        # OpenSSL reads certificates from files only: private ones, gone as soon as they are read.
        with tempfile.TemporaryDirectory(prefix="pipetrail-") as folder:
            paths = Path(folder) / "cert.pem", Path(folder) / "key.pem"
            for path, text in zip(paths, (cert, key), strict=True):
                path.touch(mode=0o600)
                path.write_text(text, encoding="utf-8")
            found.load_cert_chain(*paths)
    return found

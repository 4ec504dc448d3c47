"""The TLS context of an interface server."""

from __future__ import annotations

import ssl


class BadTLS(Exception):
    """The options for TLS do not work. The text says why."""


def tls_context(
    certfile: str, keyfile: str, password: str | None, ca_certs: str | None, ciphers: str | None
) -> ssl.SSLContext:
    """Make the TLS context of a server.

    Arguments:
        certfile, keyfile: the paths of the certificate and its private key.
        password: the password of the private key.
        ca_certs: the path of the CA certificates for client certificates; ``None`` to ask for none.
        ciphers: the ciphers by their names in OpenSSL; ``None`` for Python's choice.

    Raises:
        BadTLS: something of this does not work.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certfile, keyfile, lambda: password or "")
    except (OSError, ValueError) as error:
        raise BadTLS(
            f"The certificate {certfile} and the private key {keyfile} cannot be used: {error}. Do they belong "
            "together, and is --ssl-keyfile-password right, if the key has one?"
        ) from error
    if ciphers:
        try:
            context.set_ciphers(ciphers)
        except ssl.SSLError as error:
            raise BadTLS(f"--ssl-ciphers {ciphers}: {error}.") from error
    if ca_certs is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(ca_certs)
        except OSError as error:
            raise BadTLS(f"--ssl-ca-certs {ca_certs}: {error}.") from error
    return context

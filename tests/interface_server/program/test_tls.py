"""Invalid options for TLS give one line, without the password."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from interface_server.program.tls import BadTLS, tls_context

Certificate = tuple[Path, Path]


def context(certificate: Certificate, **options: str | None) -> ssl.SSLContext:
    files = [str(path) for path in certificate]
    return tls_context(*files, **{"password": "secret", "ca_certs": None, "ciphers": None, **options})


def test_valid_options(certificate: Certificate) -> None:
    asks_nobody = context(certificate, ciphers="ECDHE+AESGCM")
    assert asks_nobody.verify_mode == ssl.CERT_NONE
    older = [cipher["name"] for cipher in asks_nobody.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
    assert older
    assert all(name.startswith("ECDHE-") for name in older)
    assert context(certificate, ca_certs=str(certificate[0])).verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("password", [None, "wrong-pass-phrase"])
def test_a_password_that_is_wrong(certificate: Certificate, password: str | None) -> None:
    with pytest.raises(BadTLS, match="cannot be used: .*is --ssl-keyfile-password right") as caught:
        context(certificate, password=password)
    assert "wrong-pass-phrase" not in str(caught.value)


def test_a_key_that_does_not_belong_to_the_certificate(certificate: Certificate) -> None:
    with pytest.raises(BadTLS, match="Do they belong together"):
        context((certificate[0], certificate[0]))


def test_ciphers_that_do_not_exist(certificate: Certificate) -> None:
    with pytest.raises(BadTLS, match="--ssl-ciphers NO-SUCH-CIPHER: "):
        context(certificate, ciphers="NO-SUCH-CIPHER")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read(certificate: Certificate, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadTLS, match=f"--ssl-ca-certs {file}: "):
        context(certificate, ca_certs=str(file))

"""The server's certificate authority and certificate, made once per data directory.

    python -m wildsage.cli.certificates DIR

A process of its own, because the cryptography library is a third of the memory of the supervisor that wants it once.
One certificate names every host that AWS clients may ask for, so nothing has to be made per name.
"""

from __future__ import annotations

import os
import ssl
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wildsage.core.settings import DataDir
from wildsage.wire.regions import ROOTS_OF_TRUST, regions

_YEARS = timedelta(days=3650)
_ADDRESSES = ("127.0.0.1", "::1", "0.0.0.0")
# Names below <region>.<domain> that have a level of their own; a wildcard stands for one level only.
_DEEP = ("s3", "s3.dualstack", "sagemaker", "dkr.ecr", "execute-api")
_DOMAINS = ("amazonaws.com", "amazonaws.com.cn")


def server_names() -> list[str]:
    """Every DNS name of the server's certificate."""
    names = ["localhost", "s3.localhost", "*.s3.localhost"]
    found = regions()
    for domain in _DOMAINS:
        names += [f"*.{domain}", f"*.s3.{domain}"]
        for region in found[domain]:
            names += [f"*.{region}.{domain}", *(f"*.{deep}.{region}.{domain}" for deep in _DEEP)]
    return [*names, *(f"*.{region}.api.aws" for region in found["amazonaws.com"])]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _YEARS)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(key: ec.EllipticCurvePrivateKey, name: x509.Name) -> x509.Certificate:
    public = key.public_key()
    return (
        _builder(name, name, public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(key: ec.EllipticCurvePrivateKey, ca_key: ec.EllipticCurvePrivateKey, issuer: x509.Name) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in server_names()]
    names += [x509.IPAddress(ip_address(address)) for address in _ADDRESSES]
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _builder(_name("Wildsage"), issuer, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _public_roots() -> bytes:
    """The machine's own roots of trust, so that AWS_CA_BUNDLE does not cut clients off from the rest of the world."""
    paths = [os.environ.get("AWS_CA_BUNDLE"), ssl.get_default_verify_paths().cafile, str(ROOTS_OF_TRUST)]
    for path in paths:
        if path and Path(path).is_file():
            return Path(path).read_bytes()
    return b""


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    half = path.with_suffix(".new")
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    half.rename(path)


def make(data: DataDir) -> None:
    """Writes tls/: ca.pem, bundle.pem, server.key and, as the last, server.pem.

    The authority's key is forgotten at once: no second certificate can be made with it.
    """
    data.tls.mkdir(mode=0o700, exist_ok=True)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _name(f"Wildsage local authority {x509.random_serial_number() % 10**8:08d}")
    authority = _pem(_authority(ca_key, issuer))
    _write(data.tls / "ca.pem", authority)
    _write(data.tls / "bundle.pem", authority + _public_roots())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(data.tls / "server.key", private, 0o600)
    _write(data.tls / "server.pem", _pem(_server(key, ca_key, issuer)))


if __name__ == "__main__":
    os.nice(5)  # control and router, which start beside this, come first
    make(DataDir(Path(sys.argv[1])))

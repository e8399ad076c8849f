"""The server's certificates, as TLS clients see them."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from wildsage.cli.certificates import make
from wildsage.core.settings import DataDir


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    found = DataDir(tmp_path_factory.mktemp("certificates"))
    make(found)
    return found


def handshake(data: DataDir, name: str, trusted: Path) -> None:
    """One TLS handshake for ``name``; raises what the client raises."""
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(data.tls / "server.pem", data.tls / "server.key")
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            served.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    context = ssl.create_default_context(cafile=str(trusted))
    try:
        context.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        server.join()


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "127.0.0.1",
        "iam.amazonaws.com",
        "sts.us-east-1.amazonaws.com",
        "runtime.sagemaker.eu-central-1.amazonaws.com",
        "bucket.s3.amazonaws.com",
        "bucket.s3.ap-northeast-3.amazonaws.com",
        "bucket.s3.dualstack.eu-west-1.amazonaws.com",
        "000000000000.dkr.ecr.us-west-2.amazonaws.com",
        "sts.cn-north-1.amazonaws.com.cn",
        "sts.us-gov-west-1.amazonaws.com",
        "bucket.s3.localhost",
    ],
)
def test_clients_that_trust_the_bundle_accept_the_server(data: DataDir, name: str) -> None:
    handshake(data, name, data.tls / "bundle.pem")
    handshake(data, name, data.tls / "ca.pem")


def test_other_names_are_not_ours(data: DataDir) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(data, "packages.example.org", data.tls / "bundle.pem")


def test_the_private_key_is_private_and_the_authoritys_is_gone(data: DataDir) -> None:
    assert stat.S_IMODE((data.tls / "server.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in data.tls.iterdir()) == ["bundle.pem", "ca.pem", "server.key", "server.pem"]


def test_the_bundle_trusts_the_rest_of_the_world_too(data: DataDir) -> None:
    assert (data.tls / "bundle.pem").read_text().count("BEGIN CERTIFICATE") > 100

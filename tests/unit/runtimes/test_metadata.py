"""What keeps a container from a cloud's metadata addresses, piece by piece; as a whole in tests/contract/runtimes."""

from __future__ import annotations

import ipaddress
import subprocess
import sys

import pytest

from wildsage.core.errors import SettingsError
from wildsage.core.metadata import IPV4, IPV6, is_metadata
from wildsage.core.settings import metadata_allowed

# A network of its own with a way out for both families; then what connecting says before and after it is shut.
_ROUTES = """
import errno, socket, sys
from wildsage.runtimes.sandbox.keeper import kernel
from wildsage.runtimes.sandbox.network.netlink import Netlink
kernel.separate_user()
kernel.unshare(kernel.CLONE_NEWNET)
link = Netlink()
bridge = link.add_bridge('way', 1500)
link.add_address(bridge, '198.18.0.1', 16)
link.add_default_route(bridge)
def ask(address, port):
    with socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect((address, port))
        except OSError as error:
            return errno.errorcode[error.errno]
        return 'goes out'
for address in sys.argv[1:]:
    before = ask(address, 80)
    for _ in range(2):
        link.shut(address, 53)
    print(address, before, ask(address, 80), ask(address, 53))
"""


def test_a_network_can_be_shut_but_for_names() -> None:
    command = [sys.executable, "-c", _ROUTES, *IPV4, *IPV6]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Operation not permitted: 'unshare'" in said.stderr:
        pytest.skip("needs user namespaces")
    found = {address: tuple(words) for address, *words in (line.split(" ", 3) for line in said.stdout.splitlines())}
    assert {found[address] for address in IPV4} == {("goes", "out", "ENETUNREACH goes out")}, said
    assert set(found) == {*IPV4, *IPV6}, said


def test_addresses_are_written_as_the_standard_library_does() -> None:
    assert all(str(ipaddress.ip_address(address)) == address for address in (*IPV4, *IPV6))
    assert is_metadata("169.254.169.254", 80) and is_metadata("fd00:ec2::254", 443)
    assert not is_metadata("169.254.169.254", 53) and not is_metadata("169.254.169.253", 80)


def test_the_setting() -> None:
    assert not metadata_allowed({})
    assert metadata_allowed({"WILDSAGE_INSTANCE_METADATA": "allow"})
    with pytest.raises(SettingsError, match="deny or allow"):
        metadata_allowed({"WILDSAGE_INSTANCE_METADATA": "yes"})

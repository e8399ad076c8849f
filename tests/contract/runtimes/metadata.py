"""Whether a container can ask a cloud for the role of the machine that it runs on."""

from __future__ import annotations

import json
import os
from dataclasses import replace

from tests.contract.runtimes.seen import Launch, text_of

from wildsage.core.metadata import IPV4, IPV6
from wildsage.runtimes.base import LaunchSpec, Runtime
from wildsage.runtimes.sandbox.probe import probe

# What comes of asking each address in every way there is, within a moment: the name of the error, or "goes out".
ASK = """
import errno, json, os, socket, time
while not os.path.exists("/opt/ml/go"):
    time.sleep(0.005)
said = {}
def ask(name, family, act):
    with socket.socket(family, socket.SOCK_DGRAM if 'names' in name or 'datagram' in name else socket.SOCK_STREAM) as s:
        s.settimeout(0.2)
        try:
            act(s)
        except OSError as error:
            said[name] = errno.errorcode.get(error.errno, 'goes out')
        else:
            said[name] = 'goes out'
for at in %s:
    family = socket.AF_INET6 if ':' in at else socket.AF_INET
    ask(at, family, lambda s: s.connect((at, 80)))
    ask(f'datagram to {at}', family, lambda s: s.sendto(b'x', (at, 80)))
    if family == socket.AF_INET:
        ask(f'mapped {at}', socket.AF_INET6, lambda s: s.connect((f'::ffff:{at}', 80)))
        ask(f'fast {at}', family, lambda s: s.sendto(b'x', socket.MSG_FASTOPEN, (at, 80)))
ask('names of 169.254.169.254', socket.AF_INET, lambda s: s.sendto(b'x', ('169.254.169.254', 53)))
ask('names of 169.254.169.253', socket.AF_INET, lambda s: s.sendto(b'x', ('169.254.169.253', 80)))
print(json.dumps(said))
"""

SHUT = {"EPERM", "EACCES", "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL"}  # the last: a network without IPv6


class Metadata:
    """Part of the suite. ``lenient``: a runtime whose containers may ask."""

    async def test_the_machines_role_is_not_for_containers(
        self, runtime: Runtime, launch: Launch, spec: LaunchSpec
    ) -> None:
        handle = await launch(ASK % repr(IPV4 + IPV6))
        (spec.directory / "ml" / "go").touch()
        said = json.loads(await text_of(runtime, handle))
        if runtime.name == "sandbox" and os.geteuid() != 0:
            (found,) = [each for each in await probe() if each.subject == "the machine's own role"]
            assert not found.works and "run Wildsage as root" in found.remedy
            return
        assert {said.pop(name) for name in list(said) if name.startswith("names of")} == {"goes out"}
        open_ones = {name: word for name, word in said.items() if word not in SHUT}
        assert not open_ones, open_ones
        assert len(said) == 4 * len(IPV4) + 2 * len(IPV6)

    async def test_unless_somebody_wants_it_so(self, lenient: Runtime, spec: LaunchSpec) -> None:
        handle = await lenient.launch(replace(spec, argv=(*spec.argv, "-c", ASK % repr(IPV4[:1]))))
        (spec.directory / "ml" / "go").touch()
        said = json.loads(await text_of(lenient, handle))
        await lenient.remove(handle)
        assert said["169.254.169.254"] not in SHUT and said["datagram to 169.254.169.254"] not in SHUT

"""Where a cloud tells its machines about themselves, and hands out the role of a machine to whoever asks.

On AWS the containers of SageMaker get nothing there: they have the role of their job. The same holds here, unless a
setting says otherwise (``core.settings.metadata_allowed``). Keepers import this, so it imports nothing.
"""

from __future__ import annotations

IPV4 = (
    "169.254.169.254",  # AWS, Google, Azure and most others
    "169.254.170.2",  # AWS: credentials of ECS tasks
    "169.254.170.23",  # AWS: credentials of EKS pods
    "168.63.129.16",  # Azure: what its agent asks
)
IPV6 = ("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254")  # AWS, EKS, Google
NAMES_PORT = 53
"""Some clouds have their name server at the same address; names are nobody's secret."""


def is_metadata(address: str, port: int) -> bool:
    """Whether containers have nothing to ask there. ``address``: as the standard library writes it."""
    return port != NAMES_PORT and address in (*IPV4, *IPV6)

"""``wildsage interrupt``: what happens to managed spot training when EC2 needs its instances back."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from wildsage.cli.client import AwsClient, Document
from wildsage.cli.server_file import running
from wildsage.core import credentials as server_credentials
from wildsage.core.addresses import reached_at
from wildsage.core.errors import ApiError
from wildsage.core.settings import data_dir
from wildsage.wire.sigv4 import Credentials


def main(options: argparse.Namespace) -> int:
    data = data_dir(os.environ, options.data)
    server = running(data)
    root = server_credentials.load(data.credentials)
    host = reached_at(server.host)
    region = options.region or server.region
    credentials = Credentials(root.access_key, root.secret)
    params = {"TrainingJobName": options.job, "CapacityAfterSeconds": options.capacity_after}
    try:
        asyncio.run(_ask(host, server.port, region, credentials, params))
    except ApiError as error:
        print(f"wildsage: {error.message}", file=sys.stderr)
        return 1
    print(f"{options.job} is interrupted: its containers have two minutes to end.")
    return 0


async def _ask(host: str, port: int, region: str, credentials: Credentials, params: Document) -> None:
    client = AwsClient(host, port, region, credentials)
    try:
        await client.command("interrupt", params)
    finally:
        client.close()

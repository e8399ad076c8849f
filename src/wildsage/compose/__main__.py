"""``python -m wildsage.compose --data DIR --host H --port P [--ephemeral] [--lifeline FD]``: the control process."""

from __future__ import annotations

import gc

if __name__ == "__main__":
    gc.disable()  # all that importing makes stays; looking for garbage in it costs a sixth of the start

import argparse
import logging
import os
import sys
from pathlib import Path

import uvloop

from wildsage.compose.process import serve
from wildsage.core.errors import SettingsError
from wildsage.core.functions import function_settings
from wildsage.core.jobs import job_settings
from wildsage.core.scaling import scaling_settings
from wildsage.core.serverless import serverless_settings
from wildsage.core.settings import (
    DataDir,
    Settings,
    account_id,
    file_systems,
    further_accounts,
    legacy_buckets,
    metadata_allowed,
    region_name,
)
from wildsage.core.upstream import s3_upstream


def main() -> int:
    options = _options()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = Settings(
        data=DataDir(Path(options.data).absolute()),
        host=options.host,
        port=options.port,
        region=region_name(os.environ),
        account=account_id(os.environ),
        ephemeral=options.ephemeral,
        accounts=further_accounts(os.environ),
        legacy_buckets=legacy_buckets(os.environ),
        file_systems=file_systems(os.environ),
        s3_upstream=s3_upstream(os.environ),
        jobs=job_settings(os.environ),
        scaling=scaling_settings(os.environ),
        serverless=serverless_settings(os.environ),
        functions=function_settings(os.environ),
        metadata=metadata_allowed(os.environ),
    )
    try:
        uvloop.run(serve(settings, options.lifeline))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m wildsage.compose", description="The control process.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ephemeral", action="store_true")
    parser.add_argument("--lifeline", type=int, help="a pipe's end that closes when the supervisor is gone")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

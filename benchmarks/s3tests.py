"""Runs ceph/s3-tests against a server of its own and says which cases pass.

    python benchmarks/s3tests.py CHECKOUT --python VENV/bin/python [--output FILE] [-k EXPRESSION]

CHECKOUT is a clone of https://github.com/ceph/s3-tests; the interpreter's environment has its requirements.
The selection is ``s3tests/functional/test_s3.py`` without the marker ``fails_on_aws``.  The suite expects buckets as S3
made them before 2023 and several accounts, so the server is started with both.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ACCOUNTS = ("111111111111", "222222222222")
_OUTCOME = re.compile(r"^(PASSED|FAILED|SKIPPED|ERROR) \S*::(test_\w+(?:\[[^\]]*\])?)")


def owner_id(account: str) -> str:
    """The canonical user id that the server gives an account."""
    return hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()


def section(account: str, access_key: str, secret: str) -> dict[str, str]:
    return {
        "display_name": account,
        "user_id": owner_id(account),
        "email": f"{account}@example.com",
        "access_key": access_key,
        "secret_key": secret,
    }


def configuration(port: int, credentials: Path) -> configparser.RawConfigParser:
    """What the suite needs to know of the server."""
    made = json.loads(credentials.read_text())
    main = section(made["account"], made["access_key"], made["secret"])
    alt, tenant = (section(name, **made["accounts"][name]) for name in ACCOUNTS)
    parser = configparser.RawConfigParser()
    parser.read_dict(
        {
            "DEFAULT": {"host": "localhost", "port": str(port), "is_secure": "False", "ssl_verify": "False"},
            "fixtures": {"bucket prefix": "s3tests-{random}-"},
            "s3 main": {**main, "api_name": "", "lc_debug_interval": "10"},
            "s3 alt": alt,
            "s3 tenant": {**tenant, "tenant": ""},
            "iam": main,
            "iam root": main,
            "iam alt root": alt,
        }
    )
    return parser


def run(checkout: Path, python: str, expression: str, data: Path) -> str:
    """pytest's report."""
    environ = {
        **os.environ,
        "WILDSAGE_ACCOUNTS": ",".join(ACCOUNTS),
        "WILDSAGE_S3_DEFAULTS": "legacy",
    }
    command = [sys.executable, "-m", "wildsage.cli"]
    subprocess.run([*command, "up", "--data", str(data), "--port", "0", "--detach"], check=True, env=environ)
    try:
        port = json.loads((data / "run" / "server.json").read_text())["port"]
        config = data / "s3tests.conf"
        with config.open("w") as file:
            configuration(port, data / "credentials.json").write(file)
        pytest = [python, "-m", "pytest", "s3tests/functional/test_s3.py", "-m", "not fails_on_aws", "-k", expression]
        done = subprocess.run(
            [*pytest, "-q", "-rA", "--tb=line", "-p", "no:cacheprovider"],
            cwd=checkout,
            env={**os.environ, "S3TEST_CONF": str(config)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout
    finally:
        subprocess.run([*command, "down", "--data", str(data)], check=True, env=environ)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--python", default=sys.executable, help="has the suite's requirements")
    parser.add_argument("--output", type=Path, help="pytest's report goes here")
    parser.add_argument("-k", dest="expression", default="", help="as pytest's")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        report = run(options.checkout.absolute(), options.python, options.expression, Path(data))
    if options.output:
        options.output.write_text(report)
    outcomes = {found[2]: found[1] for found in map(_OUTCOME.match, report.splitlines()) if found}
    counts = Counter(outcomes.values())
    for name, outcome in sorted(outcomes.items()):
        if outcome in ("FAILED", "ERROR"):
            print(outcome, name)
    run_cases = len(outcomes) - counts["SKIPPED"]
    print(f"{counts['PASSED']} of {run_cases} pass ({counts['PASSED'] / max(run_cases, 1):.1%}); {dict(counts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

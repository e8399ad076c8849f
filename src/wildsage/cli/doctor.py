"""``wildsage doctor``: what this machine can run, and how to get what is missing."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from wildsage.cli.server_file import alive, read
from wildsage.core.errors import InternalFault, SettingsError
from wildsage.core.settings import DEFAULT_PORT, DataDir, data_dir, environments_folder, metadata_allowed
from wildsage.core.upstream import NAME as UPSTREAM
from wildsage.core.upstream import s3_upstream
from wildsage.images.environments import Environments
from wildsage.images.seeking import HOW_TO_GET
from wildsage.images.survey import Entry, survey
from wildsage.runtimes.containers.api import EngineError, EngineGone
from wildsage.runtimes.containers.attendant import handing
from wildsage.runtimes.containers.engine import Engine
from wildsage.runtimes.sandbox.probe import Finding, probe
from wildsage.services.s3.upstream.check import look


def main(options: argparse.Namespace) -> int:
    data = data_dir(os.environ, options.data)
    everything = {
        "Wildsage": [*_server(data), *asyncio.run(_upstream())],
        "Native sandbox": asyncio.run(probe(_metadata())),
        "Frameworks for native images": asyncio.run(_frameworks(data)),
        "Container engine": asyncio.run(_engine()),
        "Other runtimes": list(_others()),
    }
    for title, findings in everything.items():
        print(title)
        for finding in findings:
            print(f"  {'ok' if finding.works else 'no':<3} {finding.subject}: {finding.detail}")
            if finding.remedy:
                print(f"      {finding.remedy}")
    broken = [found for findings in everything.values() for found in findings if found.needed and not found.works]
    if broken:
        print(f"\nJobs cannot run here yet: {', '.join(finding.subject for finding in broken)}.")
        return 1
    print("\nJobs and endpoints can run on this machine.")
    return 0


def _server(data: DataDir) -> Iterator[Finding]:
    version = platform.python_version()
    right = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding("Python", right, version, "" if right else "Use Python 3.11, 3.12 or 3.13.", needed=True)
    yield _directory(data)
    found = read(data)
    if found is not None and alive(found.pid):
        yield Finding("server", True, f"running at {found.url}")
        return
    yield Finding("server", True, "not running; start it with: wildsage up")
    yield _port()


def _metadata() -> bool:
    try:
        return metadata_allowed(os.environ)
    except SettingsError:
        return False  # the server says what is wrong with it


def _directory(data: DataDir) -> Finding:
    place = next(path for path in (data.root, *data.root.parents) if path.exists())
    works = os.access(place, os.W_OK | os.X_OK)
    free = shutil.disk_usage(place).free // 2**30
    remedy = "" if works else "Choose another with --data DIR or WILDSAGE_DATA."
    return Finding("data directory", works, f"{data.root}, {free} GiB free", remedy, needed=True)


def _port() -> Finding:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError as error:
            return Finding("port", False, f"{DEFAULT_PORT} is taken: {error.strerror}", "Use: wildsage up --port 0")
    return Finding("port", True, f"{DEFAULT_PORT} is free")


async def _upstream() -> list[Finding]:
    """The other S3 that keeps this one's buckets, if the environment names one."""
    try:
        upstream = s3_upstream(os.environ)
        if upstream is None:
            return []
        works, detail = await look(upstream)
    except SettingsError as error:
        return [Finding("S3 upstream", False, str(error), f"See {UPSTREAM} in docs/design/s3.md.", needed=True)]
    return [Finding("S3 upstream", works, detail, needed=True)]


async def _frameworks(data: DataDir) -> list[Finding]:
    """Missing ones are no trouble: an environment is built when a job first asks for one."""
    entries = await survey(Environments(environments_folder(os.environ, data), os.environ))
    return [_framework(entry) for entry in entries]


def _framework(entry: Entry) -> Finding:
    if entry.state == "unfit":
        return Finding(entry.title, False, entry.trouble)
    if entry.state == "not built":
        remedy = f"To have it before: wildsage images build {entry.name}"
        return Finding(entry.title, True, f"{entry.runs}, built by the first job that needs it", remedy)
    return Finding(entry.title, True, f"{entry.runs} on Python {entry.python}, {entry.state}: {entry.where}")


async def _engine() -> list[Finding]:
    """None is no trouble: it is for images of one's own."""
    engine = Engine(os.environ)
    try:
        trouble = await engine.trouble()
    except InternalFault as fault:
        words = f"{str(fault).removeprefix('InternalServerError: ').rstrip('.')}; framework images need none"
        return [Finding("engine", False, words, f"For images of your own: {HOW_TO_GET}")]
    found = await engine.version()
    where = f"{found.name} {found.version} at {engine.address}"
    words = f"{where}, API {found.api}, storage {found.storage}, cgroups {found.cgroups}"
    findings = [Finding("engine", True, f"{words}, rootless" if found.rootless else words)]
    if trouble:
        findings.append(Finding("its containers", False, trouble))
    elif os.geteuid() != 0:
        findings.append(await asyncio.to_thread(_errands, engine))
    gpu = "nvidia" in found.runtimes
    remedy = "" if gpu else "For images that need one: install nvidia-container-toolkit on a machine with a GPU."
    findings.append(Finding("GPUs in containers", gpu, "the runtime nvidia is there" if gpu else "none", remedy))
    return [*findings, *(Finding("warning", False, words) for words in found.warnings)]


def _errands(engine: Engine) -> Finding:
    """For ordinary users: whether the engine does for them what takes root."""
    try:
        handing.try_out(engine.api)
    except (EngineGone, EngineError) as error:
        remedy = "Start wildsage as root to run images of your own."
        return Finding("its containers", False, f"they cannot be reached into: {error}", remedy)
    words = "small containers of the engine's do what takes root, and your files stay yours"
    return Finding("its containers", True, words)


def _others() -> Iterator[Finding]:
    java = shutil.which("java")
    remedy = "" if java else "Needed for Spark processing jobs alone: apt-get install openjdk-17-jre-headless"
    yield Finding("Java", java is not None, java or "none on PATH", remedy)
    gpu = Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()
    yield Finding("GPU", gpu, "an NVIDIA driver is loaded" if gpu else "none; jobs run on the CPU")

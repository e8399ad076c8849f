"""The images of examples/byoc, and small ones that behave badly, built once and kept in the engine.

Wheels are fetched by this machine's pip, with its settings, and given to the build; no setting gets into an image.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.container_engine import ROOT, locked

EXAMPLE = ROOT / "examples" / "byoc"
_NOT_COPIED = ("README.md", "debian.sh", "run.py")
_TREES = ("flask", "gunicorn", "scikit-learn")
_TOOLKITS = ("sagemaker-training==5.1.4", "sagemaker-inference==1.10.1", "inotify_simple==1.2.1")  # source alone
_OF_TOOLKITS = (
    *("multi-model-server", "scikit-learn", "setuptools<81", "wheel", "boto3", "numpy", "six", "pip", "retrying<1.4"),
    *("gevent", "werkzeug", "paramiko", "psutil", "protobuf", "scipy"),
)


class Images:
    """Builds in ``engine``, on the image ``base``."""

    def __init__(self, engine: str, base: str) -> None:
        self.docker = ("docker", "--host", engine)
        self.base = base

    def trees(self, target: str = "") -> str:
        """The decision trees of the example, or a stage of them."""
        return self._example("Dockerfile", self.base, _TREES, (), target)

    def toolkits(self) -> str:
        """The image with AWS's toolkits; on the example's Python, which has scikit-learn."""
        return self._example("toolkits/Dockerfile", self.trees("python"), _OF_TOOLKITS, _TOOLKITS)

    def small(self, *lines: str, **files: str) -> str:
        """The base image and what ``lines`` of a Dockerfile make of it; ``files`` are programs, by their names."""
        with tempfile.TemporaryDirectory(prefix="wildsage-image-") as folder:
            for name, text in files.items():
                path = Path(folder, name)
                path.write_text(text)
                path.chmod(0o755)
            copied = [f"COPY {' '.join(files)} /usr/local/bin/"] if files else []
            Path(folder, "Dockerfile").write_text("\n".join((f"FROM {self.base}", *copied, *lines, "")))
            return self._built(Path(folder), "Dockerfile", _key(self.base, lines, sorted(files.items())), ())

    def foreign(self) -> str:
        """An image with a file, for an architecture that no machine of these tests has."""
        name = "wildsage-test/foreign:1"
        layer = _tar({"train": b"nothing"})
        diff = f"sha256:{hashlib.sha256(layer).hexdigest()}"
        config = {
            "architecture": "s390x",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff]},
        }
        manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
        documents = {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
        self._run("load", input=_tar({**documents, "layer.tar": layer}))
        return name

    def remove(self, name: str) -> None:
        """The image goes, if there is one."""
        subprocess.run([*self.docker, "rmi", "--force", name], capture_output=True, check=False)

    def _example(self, file: str, base: str, binaries: Sequence[str], sources: Sequence[str], target: str = "") -> str:
        copied = (path for path in sorted(EXAMPLE.rglob("*")) if path.is_file() and path.name not in _NOT_COPIED)
        texts = [(str(path.relative_to(EXAMPLE)), path.read_text()) for path in copied]
        key = _key(base, binaries, sources, target, file, texts)
        options = (*(("--target", target) if target else ()), "--build-arg", f"BASE={base}")
        with tempfile.TemporaryDirectory(prefix="wildsage-image-") as folder:
            context = Path(folder, "context")
            shutil.copytree(EXAMPLE, context)
            return self._built(context, file, key, options, binaries, sources)

    def _built(
        self,
        context: Path,
        file: str,
        key: str,
        options: Sequence[str],
        binaries: Sequence[str] = (),
        sources: Sequence[str] = (),
    ) -> str:
        name = f"wildsage-test/byoc:{key}"
        with locked("byoc"):
            if subprocess.run([*self.docker, "image", "inspect", name], capture_output=True, check=False).returncode:
                if binaries:
                    self._fetch(context / "wheels", binaries, sources)
                words = ("--quiet", "--network", "host", "--build-arg", "PIP_NO_INDEX=1", "--force-rm", *options)
                self._run("build", *words, "--file", str(context / file), "--tag", name, str(context))
        return name

    def _fetch(self, folder: Path, binaries: Sequence[str], sources: Sequence[str]) -> None:
        """Wheels for the Python of the base image, and sources of what has no wheels."""
        asked = self._run(
            "run",
            "--rm",
            "--network",
            "none",
            self.base,
            "python3",
            "-c",
            "import sys; print('%d.%d' % sys.version_info[:2])",
        )
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(folder)]
        _check([*pip, "--python-version", asked.strip(), "--only-binary=:all:", *binaries])
        if sources:
            _check([*pip, "--no-deps", *sources])

    def _run(self, *words: str, input: bytes | None = None) -> str:
        return _check([*self.docker, *words], input)


def _check(command: Sequence[str], input: bytes | None = None) -> str:
    done = subprocess.run(command, input=input, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout.decode()[-3000:]}{done.stderr.decode()[-3000:]}")
    return done.stdout.decode()


def _key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture(scope="session")
def images(engine: str, debian: str) -> Iterator[Images]:
    """What builds images."""
    if os.geteuid() != 0:
        pytest.skip("needs root to build images")
    yield Images(engine, debian)

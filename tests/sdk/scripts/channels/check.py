"""Looks at every channel that v2.py and v3.py ask for; runs in a training job."""

import os
import struct
from pathlib import Path

DATA = "/opt/ml/input/data"


def pipe(name):
    return Path(f"{DATA}/{name}").read_bytes()


def records(data):
    found = []
    while data:
        magic, length = struct.unpack_from("<II", data)
        assert magic == 0xCED7230A, hex(magic)
        found.append(data[8 : 8 + length])
        data = data[8 + length + -length % 4 :]
    return found


def listed(name):
    folder = Path(os.environ[f"SM_CHANNEL_{name.upper()}"])
    return {path.name: path.read_text() for path in folder.iterdir()}


def main():
    every = {"a": "first", "b": "second", "c": "third"}
    assert listed("prefix") == every, listed("prefix")
    assert listed("manifest") == {"a": "first", "c": "third"}, listed("manifest")
    assert listed("fast") == every, listed("fast")
    Path(f"{DATA}/prefix/a").write_text("mine")
    try:
        Path(f"{DATA}/fast/a").write_text("mine")
    except OSError:
        pass
    else:
        raise SystemExit("a channel in FastFile mode can be written to")
    assert pipe("plain_0") == pipe("plain_1") == b"firstsecondthird", pipe("plain_2")
    if "SM_CHANNEL_SHUFFLED" in os.environ:
        for epoch in range(3):
            assert sorted(records(pipe(f"shuffled_{epoch}"))) == [b"first", b"second", b"third"]
    assert records(pipe("augmented_0")) == [b"first", b"1", b"third", b"3"]
    print("every channel is as it should be")


if __name__ == "__main__":
    main()

"""Looks at every channel that v2.py and v3.py ask for; runs in a training job."""

import os
import struct

DATA = "/opt/ml/input/data"


def pipe(name):
    with open(f"{DATA}/{name}", "rb") as file:
        return file.read()


def records(data):
    found = []
    while data:
        magic, length = struct.unpack_from("<II", data)
        assert magic == 0xCED7230A, hex(magic)
        found.append(data[8 : 8 + length])
        data = data[8 + length + -length % 4 :]
    return found


def listed(name):
    folder = os.environ[f"SM_CHANNEL_{name.upper()}"]
    return {entry: open(f"{folder}/{entry}").read() for entry in sorted(os.listdir(folder))}


def main():
    every = {"a": "first", "b": "second", "c": "third"}
    assert listed("prefix") == every, listed("prefix")
    assert listed("manifest") == {"a": "first", "c": "third"}, listed("manifest")
    assert listed("fast") == every, listed("fast")
    with open(f"{DATA}/prefix/a", "w") as file:
        file.write("mine")
    try:
        open(f"{DATA}/fast/a", "w")
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

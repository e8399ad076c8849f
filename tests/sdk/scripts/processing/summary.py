"""Doubles what it reads, with an argument and a variable; ``lib`` is there only if the source folder is."""

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--times", type=int)
times = parser.parse_args().times

try:
    import lib
except ModuleNotFoundError:
    lib = None

where = json.loads(Path("/opt/ml/config/resourceconfig.json").read_text())
out = Path("/opt/ml/processing/output")
for file in Path("/opt/ml/processing/input/data").iterdir():
    (out / file.name).write_text(str(int(file.read_text()) * times))
(out / f"{where['current_host']}.json").write_text(json.dumps({"color": os.environ.get("COLOR"), "lib": bool(lib)}))
print(f"summary written on {where['current_host']}", flush=True)

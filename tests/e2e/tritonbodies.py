"""A request and its answer as AWS's notebooks make and read them, in the environment of ``make triton``.

``python tritonbodies.py request`` writes the length of the JSON on one line, then the body for [[1, 2], [3, 4]];
``python tritonbodies.py answer LENGTH`` reads a body and writes the output's values.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import numpy as np


def main() -> None:
    http: Any = importlib.import_module("tritonclient.http")
    client = http.InferenceServerClient
    if sys.argv[1] == "request":
        rows = http.InferInput("X", [2, 2], "FP32")
        rows.set_data_from_numpy(np.array([[1, 2], [3, 4]], "f4"), binary_data=True)
        body, length = client.generate_request_body([rows], outputs=[http.InferRequestedOutput("Y", binary_data=True)])
        sys.stdout.buffer.write(b"%d\n" % length + body)
    else:
        found = client.parse_response_body(sys.stdin.buffer.read(), header_length=int(sys.argv[2]))
        print(json.dumps(found.as_numpy("Y").tolist()))


if __name__ == "__main__":
    main()

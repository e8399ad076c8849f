"""An SDK's Lambda helper creates, invokes, changes and deletes functions, of a script and of a zip in S3.

The second argument is the helper's module: it is the same in both SDKs, at another place.
"""

import importlib
import os
import sys
import time
import zipfile
from pathlib import Path

Lambda = importlib.import_module(sys.argv[2]).Lambda
ROLE = os.environ["WILDSAGE_ROLE"]
SCRIPT = "def handler(event, context): return {'said': 'SAID', 'memory': context.memory_limit_in_mb}"


def answered(function):
    """What it returned, once it is Active: the helper does not wait for that."""
    for _ in range(600):
        try:
            answer = function.invoke()
        except ValueError as error:
            if "ResourceConflictException" not in str(error):
                raise
            time.sleep(0.1)
        else:
            assert answer["StatusCode"] == 200, answer
            assert "FunctionError" not in answer, answer["Payload"].read()
            return answer["Payload"].read().decode()
    raise AssertionError("it never became Active")


Path("script.py").write_text(SCRIPT.replace("SAID", "script"))
asked = {"function_name": "of-the-helper", "execution_role_arn": ROLE, "handler": "script.handler"}
made = Lambda(script="script.py", **asked)  # python3.8, the helper's own default
print(made.create()["FunctionArn"])
said = answered(made)
assert '"script"' in said and '"128"' in said, said

Path("script.py").write_text(SCRIPT.replace("SAID", "changed"))
made.upsert()
assert '"changed"' in answered(made)

with zipfile.ZipFile("code.zip", "w") as archive:
    archive.writestr("script.py", SCRIPT.replace("SAID", "zip"))
zipped = Lambda(zipped_code_dir="code.zip", runtime="python3.12", timeout=30, memory_size=256, **asked)
zipped.upsert()
assert '"zip"' in answered(zipped)
zipped.delete()
print("functions: all done")

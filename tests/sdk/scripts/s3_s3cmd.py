"""s3cmd against the server of the environment, in the bucket of the first argument."""

import os
import subprocess
import sys
from pathlib import Path

bucket = sys.argv[1]
host = os.environ["AWS_ENDPOINT_URL"].partition("://")[2]
program = str(Path(sys.executable).with_name("s3cmd"))
OPTIONS = [
    f"--host={host}",
    f"--host-bucket={host}",  # path style
    "--no-ssl",
    f"--region={os.environ['AWS_REGION']}",
    f"--access_key={os.environ['AWS_ACCESS_KEY_ID']}",
    f"--secret_key={os.environ['AWS_SECRET_ACCESS_KEY']}",
    f"--access_token={os.environ['AWS_SESSION_TOKEN']}",
    "--config=/dev/null",
]


def s3cmd(*words: str) -> str:
    done = subprocess.run([program, *OPTIONS, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


folder = Path("folder")
(folder / "sub").mkdir(parents=True)
for name in ("one", "two", "sub/three"):
    (folder / name).write_text(name)
large = os.urandom(20 * 1024 * 1024)
Path("large").write_bytes(large)

s3cmd("mb", f"s3://{bucket}")
s3cmd("sync", "folder/", f"s3://{bucket}/folder/")
assert "upload:" not in s3cmd("sync", "folder/", f"s3://{bucket}/folder/")  # the second copies nothing
s3cmd("put", "large", f"s3://{bucket}/large")  # in parts
s3cmd("get", f"s3://{bucket}/large", "again")
assert Path("again").read_bytes() == large
assert s3cmd("ls", "--recursive", f"s3://{bucket}").count("s3://") == 4
s3cmd("cp", f"s3://{bucket}/folder/one", f"s3://{bucket}/copy")
assert "one" not in s3cmd("info", f"s3://{bucket}/copy").partition("Last mod")[0]
for key in ("?q=1&r#x", "%41%2F", "a+b c", "ü/日本", "a//b/c"):
    s3cmd("put", "folder/one", f"s3://{bucket}/odd/{key}")
    s3cmd("get", "--force", f"s3://{bucket}/odd/{key}", "odd")
    assert Path("odd").read_text() == "one"
    assert f"s3://{bucket}/odd/{key}\n" in s3cmd("ls", "--recursive", f"s3://{bucket}/odd/")
s3cmd("del", "--recursive", "--force", f"s3://{bucket}/")
s3cmd("rb", f"s3://{bucket}")
print("s3cmd: all done")

"""What test_offline runs in a network without a way out: a server, and stock clients against it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conftest import Server, start_server

SCRIPT = """
import boto3, json
print(boto3.client("sts").get_caller_identity()["Account"])
print(boto3.client("sts", endpoint_url="https://sts.us-west-2.amazonaws.com").get_caller_identity()["Account"])
s3 = boto3.client("s3")
s3.create_bucket(Bucket="offline")
s3.put_object(Bucket="offline", Key="a/b", Body=b"text")
assert s3.get_object(Bucket="offline", Key="a/b")["Body"].read() == b"text"
iam = boto3.client("iam")
trust = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
iam.create_role(RoleName="offline", AssumeRolePolicyDocument=json.dumps(trust))
boto3.client("logs").create_log_group(logGroupName="offline")
print([group["logGroupName"] for group in boto3.client("logs").describe_log_groups()["logGroups"]])
print(boto3.client("sagemaker").list_training_jobs()["TrainingJobSummaries"])
"""


def session(server: Server) -> int:
    for command in ((sys.executable, "-c", SCRIPT), (sys.executable, "-m", "awscli", "s3", "ls", "s3://offline/a/")):
        answer = server.run(*command)
        print(answer.stdout, answer.stderr)
        if answer.returncode:
            return answer.returncode
    return 0


if __name__ == "__main__":
    started = start_server(Path(sys.argv[1]), "--ephemeral")
    try:
        status = session(started)
    finally:
        started.stop()
    sys.exit(status)

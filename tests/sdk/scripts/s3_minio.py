"""minio-py against the server of the environment, in the bucket of the first argument."""

import io
import os
import sys
from datetime import timedelta

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

bucket = sys.argv[1]
client = Minio(
    os.environ["AWS_ENDPOINT_URL"].partition("://")[2],
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    session_token=os.environ["AWS_SESSION_TOKEN"],
    region=os.environ["AWS_REGION"],
    secure=False,
)
client.make_bucket(bucket)
assert client.bucket_exists(bucket)
large = os.urandom(11 * 1024 * 1024)
client.put_object(bucket, "large", io.BytesIO(large), len(large), part_size=5 * 1024 * 1024)
client.put_object(bucket, "unknown length", io.BytesIO(large), -1, part_size=5 * 1024 * 1024)
client.put_object(bucket, "a/ä", io.BytesIO(b"data"), 4, metadata={"from": "minio"})
for key in ("?q=1&r#x", "%41%2F", "a+b c", "ü/日本", "a//b", "k" * 1024):
    client.put_object(bucket, f"odd/{key}"[:1024], io.BytesIO(b"odd"), 3)
    assert client.get_object(bucket, f"odd/{key}"[:1024]).data == b"odd"
odd = {each.object_name for each in client.list_objects(bucket, "odd/", recursive=True)}
assert {"odd/?q=1&r#x", "odd/%41%2F", "odd/a+b c", "odd/ü/日本", "odd/a//b"} < odd
assert client.get_object(bucket, "large", offset=100, length=50).data == large[100:150]
assert client.stat_object(bucket, "a/ä").metadata["x-amz-meta-from"] == "minio"
assert sorted(each.object_name for each in client.list_objects(bucket)) == ["a/", "large", "odd/", "unknown length"]
client.copy_object(bucket, "copy", CopySource(bucket, "large"))
url = client.presigned_get_object(bucket, "copy", expires=timedelta(minutes=1))
assert urllib3.request("GET", url).data == large
try:
    client.stat_object(bucket, "absent")
except S3Error as error:
    assert error.code == "NoSuchKey"
else:
    raise AssertionError("an object that is not there was found")
names = [each.object_name for each in client.list_objects(bucket, recursive=True)]
assert not list(client.remove_objects(bucket, [DeleteObject(name) for name in names]))
client.remove_bucket(bucket)
print("minio: all done")

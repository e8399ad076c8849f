"""s3fs, pandas and pyarrow against the server of the environment, in the bucket of the first argument."""

import os
import sys

import pandas as pd
import pyarrow.dataset as ds
import pyarrow.fs
import s3fs

bucket = sys.argv[1]
endpoint = os.environ["AWS_ENDPOINT_URL"]
files = s3fs.S3FileSystem(endpoint_url=endpoint)
files.mkdir(bucket)
frame = pd.DataFrame({"a": range(1000), "b": [str(n % 7) for n in range(1000)]})

storage = {"endpoint_url": endpoint}
frame.to_csv(f"s3://{bucket}/frames/one.csv", index=False, storage_options=storage)
assert len(pd.read_csv(f"s3://{bucket}/frames/one.csv", storage_options=storage)) == 1000
frame.to_parquet(f"s3://{bucket}/frames/one.parquet", storage_options=storage)
assert pd.read_parquet(f"s3://{bucket}/frames/one.parquet", storage_options=storage).equals(frame)

large = os.urandom(12 * 1024 * 1024)
with files.open(f"{bucket}/large", "wb") as file:  # in parts
    file.write(large)
with files.open(f"{bucket}/large", "rb") as file:
    file.seek(7 * 1024 * 1024)
    assert file.read(1000) == large[7 * 1024 * 1024 :][:1000]
assert sorted(files.find(bucket)) == [f"{bucket}/frames/one.csv", f"{bucket}/frames/one.parquet", f"{bucket}/large"]
files.copy(f"{bucket}/frames/one.csv", f"{bucket}/copy.csv")
files.rm(f"{bucket}/copy.csv")

for key in ("?q=1&r#x", "%41%2F", "a+b c", "ü/日本", "a//b", "../up"):
    files.pipe_file(f"{bucket}/odd/{key}", b"odd")
    assert files.cat_file(f"{bucket}/odd/{key}") == b"odd"
assert len(files.find(f"{bucket}/odd")) == 6

host = endpoint.partition("://")[2]
arrow = pyarrow.fs.S3FileSystem(endpoint_override=host, scheme="http", region=os.environ["AWS_REGION"])
ds.write_dataset(
    pyarrow.Table.from_pandas(frame),
    f"{bucket}/parts",
    filesystem=arrow,
    format="parquet",
    partitioning=["b"],
    partitioning_flavor="hive",
)
read = ds.dataset(f"{bucket}/parts", filesystem=arrow, format="parquet", partitioning="hive")
assert read.count_rows(filter=ds.field("b") == 3) == len(frame[frame.b == "3"])
with arrow.open_output_stream(f"{bucket}/stream") as stream:
    stream.write(large)
assert arrow.get_file_info(f"{bucket}/stream").size == len(large)
arrow.delete_dir_contents(f"{bucket}/parts")

files.rm(bucket, recursive=True)
assert not files.exists(bucket)
print("frames: all done")

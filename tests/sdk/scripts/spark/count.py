"""Counts words by their length, on every host there is."""

import argparse
import csv
import os
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.functions import udf
from pyspark.sql.types import IntegerType
from words import length

parser = argparse.ArgumentParser()
parser.add_argument("--input")
parser.add_argument("--output")
options = parser.parse_args()

spark = SparkSession.builder.appName("count").getOrCreate()
assert spark.conf.get("spark.sql.shuffle.partitions") == "3"
hosts = spark.sparkContext.parallelize(range(8), 8).map(lambda _: os.uname().nodename).distinct().collect()
words = spark.read.text(options.input)
counted = words.select(udf(length, IntegerType())("value").alias("length")).groupBy("length").count().orderBy("length")
if len(hosts) == 1:
    counted.write.csv(f"{options.output}/spark")
with Path(options.output, "counted.csv").open("w") as file:
    csv.writer(file).writerows(counted.collect())
Path(options.output, "hosts").write_text(" ".join(sorted(hosts)))
print("spark counted", flush=True)

"""SDK v2's TrainingJobAnalytics of a job that is over."""

import sys

from sagemaker.analytics import TrainingJobAnalytics

analytics = TrainingJobAnalytics(sys.argv[2])
table = analytics.dataframe()
assert sorted(set(table["metric_name"])) == ["accuracy", "loss"], table
assert list(table[table["metric_name"] == "accuracy"]["value"]) == [0.75], table
losses = TrainingJobAnalytics(sys.argv[2], metric_names=["loss"]).dataframe()
assert losses["value"].between(1.0, 3.0).all(), losses
assert list(losses["timestamp"]) == sorted(losses["timestamp"]), losses
print("analytics: all done")

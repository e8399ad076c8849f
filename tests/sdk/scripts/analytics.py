"""An SDK's TrainingJobAnalytics, of the module that the third argument names, of a job that is over."""

import importlib
import sys

job, module = sys.argv[2:]
TrainingJobAnalytics = importlib.import_module(module).TrainingJobAnalytics

table = TrainingJobAnalytics(job).dataframe()
assert sorted(set(table["metric_name"])) == ["accuracy", "loss"], table
assert list(table[table["metric_name"] == "accuracy"]["value"]) == [0.75], table
losses = TrainingJobAnalytics(job, metric_names=["loss"]).dataframe()
assert losses["value"].between(1.0, 3.0).all(), losses
assert list(losses["timestamp"]) == sorted(losses["timestamp"]), losses
print("analytics: all done")

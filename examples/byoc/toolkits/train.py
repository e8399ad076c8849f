"""A script as SageMaker's script mode has it; the toolkit in the image calls it with hyperparameters as arguments."""

import argparse
import csv
import os
from pathlib import Path

import joblib
from sklearn.tree import DecisionTreeClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--max_leaf_nodes", type=int, default=None)
parser.add_argument("--training", type=Path, default=os.environ.get("SM_CHANNEL_TRAINING"))
parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR"))
arguments = parser.parse_args()

labels, features = [], []
for path in sorted(Path(arguments.training).glob("*.csv")):
    with path.open(newline="") as file:
        for label, *values in csv.reader(file):
            labels.append(label)
            features.append([float(value) for value in values])
tree = DecisionTreeClassifier(max_leaf_nodes=arguments.max_leaf_nodes, random_state=0).fit(features, labels)
joblib.dump(tree, Path(arguments.model_dir) / "decision-tree.joblib")
print(f"host={os.environ['SM_CURRENT_HOST']} rows={len(labels)} leaves={tree.get_n_leaves()};", flush=True)

"""Trains gradient-boosted trees on Fisher's iris data with XGBoost's script mode."""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost


def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(Path(model_dir) / "xgboost-model")
    return booster


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--max_depth", type=int, default=3)
    parser.add_argument("--num_round", type=int, default=20)
    arguments = parser.parse_args()

    table = pd.concat(pd.read_csv(path) for path in sorted(Path(os.environ["SM_CHANNEL_TRAIN"]).glob("*.csv")))
    names, labels = np.unique(table["species"].to_numpy().astype(str), return_inverse=True)
    data = xgboost.DMatrix(table.drop(columns="species").to_numpy(), label=labels)
    settings = {"max_depth": arguments.max_depth, "objective": "multi:softmax", "num_class": len(names)}
    result = {}
    booster = xgboost.train(
        settings, data, arguments.num_round, evals=[(data, "train")], evals_result=result, verbose_eval=5
    )
    print(f"classes={','.join(names)} train_mlogloss={result['train']['mlogloss'][-1]:.5f};", flush=True)
    # XGBoost chooses its format by the ending; SageMaker's container wants the name without one.
    saved = Path(os.environ["SM_MODEL_DIR"]) / "xgboost-model.json"
    booster.save_model(saved)
    saved.rename(saved.with_suffix(""))


if __name__ == "__main__":
    main()

"""Trains a small network on Fisher's iris data with PyTorch's script mode."""

import argparse
import csv
import os
from pathlib import Path

import torch
from torch import nn

SPECIES = ("setosa", "versicolor", "virginica")


def network():
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, len(SPECIES)))


def model_fn(model_dir):
    model = network()
    model.load_state_dict(torch.load(Path(model_dir) / "model.pth", weights_only=True))
    return model.eval()


def read(folder):
    rows = [row for path in sorted(Path(folder).glob("*.csv")) for row in csv.reader(path.open())][1:]
    features = torch.tensor([[float(value) for value in row[:4]] for row in rows])
    return features, torch.tensor([SPECIES.index(row[4]) for row in rows])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--learning-rate", type=float, default=0.05)
    arguments = parser.parse_args()

    torch.manual_seed(7)
    features, labels = read(os.environ["SM_CHANNEL_TRAIN"])
    model, loss_of = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.learning_rate)
    for epoch in range(1, arguments.epochs + 1):
        optimizer.zero_grad()
        loss = loss_of(model(features), labels)
        loss.backward()
        optimizer.step()
        if epoch % 20 == 0:
            print(f"epoch={epoch} loss={loss.item():.5f};", flush=True)
    accuracy = (model(features).argmax(1) == labels).float().mean().item()
    print(f"accuracy={accuracy:.4f};", flush=True)
    torch.save(model.state_dict(), Path(os.environ["SM_MODEL_DIR"]) / "model.pth")


if __name__ == "__main__":
    main()

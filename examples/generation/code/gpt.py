"""A small GPT over characters: trained by a training job, served with its words streamed as they are made.

As a script it trains; as a module it serves (model_fn, transform_fn).
"""

import argparse
import json
import os
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

CONTEXT, WIDTH, HEADS, LAYERS = 64, 96, 4, 2


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.heads, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.thinks = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, seen):
        count, length, _ = seen.shape
        parts = self.heads(self.before(seen)).split(WIDTH, dim=2)
        query, key, value = (part.view(count, length, HEADS, -1).transpose(1, 2) for part in parts)
        looked = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        seen = seen + self.out(looked.transpose(1, 2).reshape(count, length, WIDTH))
        return seen + self.thinks(self.between(seen))


class GPT(nn.Module):
    def __init__(self, alphabet):
        super().__init__()
        self.alphabet = alphabet
        self.letters, self.places = nn.Embedding(len(alphabet), WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.last, self.says = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(alphabet))

    def forward(self, text):
        seen = self.letters(text) + self.places(torch.arange(text.shape[1]))
        return self.says(self.last(self.blocks(seen)))

    @torch.no_grad()
    def write(self, prompt, count, temperature=0.7):
        """One character after the other."""
        known = {letter: number for number, letter in enumerate(self.alphabet)}
        text = [known[letter] for letter in prompt if letter in known] or [0]
        for _ in range(count):
            scores = self(torch.tensor([text[-CONTEXT:]]))[0, -1] / temperature
            text.append(int(torch.multinomial(scores.softmax(0), 1)))
            yield self.alphabet[text[-1]]


def train(text, steps):
    alphabet = "".join(sorted(set(text)))
    numbers = torch.tensor([alphabet.index(letter) for letter in text])
    model = GPT(alphabet)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(1, steps + 1):
        starts = torch.randint(len(numbers) - CONTEXT - 1, (32,))
        batch = torch.stack([numbers[start : start + CONTEXT + 1] for start in starts])
        loss = functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step={step} loss={loss.item():.4f};", flush=True)
    return model


def model_fn(model_dir):
    kept = torch.load(Path(model_dir) / "model.pth", weights_only=True)
    model = GPT(kept["alphabet"])
    model.load_state_dict(kept["weights"])
    return model.eval()


def transform_fn(model, body, content_type, accept):
    """{"prompt": "…", "characters": 200}: what is yielded goes to the client at once."""
    asked = json.loads(body)
    return model.write(asked["prompt"], asked.get("characters", 200)), "text/plain"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=250)
    arguments = parser.parse_args()
    torch.manual_seed(7)
    folder = Path(os.environ["SM_CHANNEL_TRAIN"])
    text = "\n".join(path.read_text() for path in sorted(folder.iterdir()))
    model = train(text, arguments.steps)
    kept = {"alphabet": model.alphabet, "weights": model.state_dict()}
    torch.save(kept, Path(os.environ["SM_MODEL_DIR"]) / "model.pth")


if __name__ == "__main__":
    main()

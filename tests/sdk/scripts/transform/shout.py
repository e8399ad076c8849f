"""A second step: says in capitals what the first one said."""


def model_fn(folder):
    return None


def transform_fn(model, body, content_type, accept):
    return body.upper(), "text/csv"

"""One module for each framework image: ``load(script, model_dir)`` returns what answers requests."""

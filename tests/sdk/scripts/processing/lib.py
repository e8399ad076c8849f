"""Nothing: that it can be imported is what counts."""

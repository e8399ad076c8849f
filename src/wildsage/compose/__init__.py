"""The control process, put together: ``table`` lists every part, ``foundation`` is what stands before health."""

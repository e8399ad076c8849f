"""Data as the built-in algorithms read and write it: training channels, requests, responses."""

"""Requests and responses of the images that share Amazon's algorithm framework (Developer Guide, "Common data formats
for inference", and each algorithm's "response formats")."""

"""How data comes into a job: from a channel to what the container finds of it."""

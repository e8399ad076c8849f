"""What every instance needs, whatever runs on it: its role, its objects, its archives, its log."""

"""Alarms: what they watch, how they decide, whom they tell."""

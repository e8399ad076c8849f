"""Stays with one container of an engine: a process of its own, which outlives control (see ``main``)."""

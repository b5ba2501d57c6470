"""Decisions: what customers are worth in all, what to do next for each, and whether the promises held."""

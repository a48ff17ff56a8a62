"""Expressions, references in texts, and the names that they stand for."""

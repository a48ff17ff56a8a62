"""A Document becomes a Workflow: the dialects, and everything that can be said beforehand, end here."""

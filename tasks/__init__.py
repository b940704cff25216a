"""Tasks: each domain's prompts and verifier, in one file a task, grouped by suite. Nothing here imports ``bench``."""

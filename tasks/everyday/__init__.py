"""Four domains in plain English for small pretrained models: short prompts, answers of a few tokens, exact verifiers."""

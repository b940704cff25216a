"""How models are trained and sampled: GRPO, prompts, engines, derivatives, bases."""

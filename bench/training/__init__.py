"""How models are trained and sampled: GRPO, prompts, engines, derivatives, the recipe of the base."""

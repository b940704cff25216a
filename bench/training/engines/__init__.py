"""Generation backends: transformers (`bench.training.sampling`, the default, exact and paired by counter-based draws) and vLLM (`vllm`)."""

"""Who writes the answers: transformers (`bench.sampling`, the default, exact and paired by counter-based draws) or vLLM (`vllm`, fast)."""

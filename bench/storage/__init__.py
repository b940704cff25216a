"""What is found again: the cache of everything computed, models of the Hub, a user's own checkpoints."""

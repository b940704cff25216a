"""The embedded suite's four procedural tasks, one file each, and their shared alphabet."""

"""Four tasks for models of 0.5 to 4 B parameters: math, code and qa on reasoning-gym's generators, and constrained writing of our own."""

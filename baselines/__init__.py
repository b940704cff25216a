"""Recovery methods, one file each: what `--method NAME` runs. A file states only what differs from the plain run."""

"""The methods that `--method NAME` runs, one file each. A file states only what differs from the baseline run."""

"""Ways to do the same job. Each module has `pieces` and `train`, as `benchmarks.job.Peer` says."""

"""A proof of the pipeline on one GPU: `python -m benchmarks.gpu.proof`."""

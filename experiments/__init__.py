"""Studies beside the main pipeline: each folder with a `dvc.yaml` is a DVC repository of its own."""

"""The engine: what tuning LoRA weights on some records does to utility, and its gradients. It knows no games."""

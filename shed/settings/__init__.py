"""Groups of `params.yaml` as the values that the rooms below take, for stages and notebooks alike: one module for each room."""

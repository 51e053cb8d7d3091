"""Commands that read results: what a run found, why a record was selected or not, the report, an export."""

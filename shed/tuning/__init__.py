"""The final tuning on the selected rows."""

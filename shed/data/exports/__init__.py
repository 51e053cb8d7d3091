"""Rows out: selected records in the forms, files and configs that other trainers take."""

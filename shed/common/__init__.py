"""What every room uses: errors, progress, files that are whole or absent."""

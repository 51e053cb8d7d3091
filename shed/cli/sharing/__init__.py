"""What two revisions of a project differ in, for a reader and for a pull request."""

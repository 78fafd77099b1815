"""Management commands of the backup."""

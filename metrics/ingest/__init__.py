"""The way in: a posted body is read, validated, recorded in a group commit, and answered."""

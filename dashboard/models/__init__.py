"""The Models page: a table of all models, and a page for each."""

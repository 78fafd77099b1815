"""Date and time formats of the admin (`FORMAT_MODULE_PATH`): ISO 8601, in UTC."""

"""How the admin writes times (Django's FORMAT_MODULE_PATH): ISO 8601 in UTC, as everywhere else in the product."""

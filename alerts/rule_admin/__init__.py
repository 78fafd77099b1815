"""The admin pages of rules: the form, what it would judge now, and the list. `alerts.admin` imports `pages`."""

"""The Requests page, the page of one request, and the drawer that shows the same beside the list."""

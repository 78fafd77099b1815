"""What keeps the tables within their limits: retention, removal on request, the disk limit."""

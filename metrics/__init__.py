"""What happened: events in, figures out."""

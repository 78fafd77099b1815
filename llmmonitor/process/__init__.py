"""The server's processes: their commands, start-up checks, workers, schedule and shutdown."""

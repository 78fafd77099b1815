"""What every layer above relies on: databases, caches, the channel layer, throttled logging, the signing key."""

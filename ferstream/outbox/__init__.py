"""A bounded, durable queue of encoded events with a reader per sink."""

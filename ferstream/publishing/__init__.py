"""Where events go: MQTT through a durable outbox, and JSON lines."""

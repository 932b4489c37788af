"""The embedded MQTT broker: a child process that ends with its parent."""

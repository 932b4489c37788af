"""Home Assistant: discovery messages that make each camera a device, and the memory of what was published."""

"""Sends events to a web server: CloudEvents over HTTP, signed as Standard Webhooks."""

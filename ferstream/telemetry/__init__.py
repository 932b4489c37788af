"""Metrics, health pages, the watchdog and the systemd notifications of the running process."""

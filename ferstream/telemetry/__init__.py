"""What the daemon says of itself: metrics, health, systemd."""

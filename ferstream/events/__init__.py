"""What travels: the payloads of events, their encoding, and the gaps a reader can see in them."""

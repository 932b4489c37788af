"""What the crops of all cameras resemble: batching, model bundles, back ends."""

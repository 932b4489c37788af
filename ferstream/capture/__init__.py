"""Where frames come from: recordings, streams, webcams, a built-in demo clip."""

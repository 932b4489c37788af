"""Sources of frames: recordings, RTSP and HTTP streams, webcams, a built-in demo clip; and what keeps each camera connected."""

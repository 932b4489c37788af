"""Face detection, privacy masks, head pose, image quality and face crops."""

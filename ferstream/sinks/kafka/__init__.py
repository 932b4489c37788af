"""Sends events to Apache Kafka; needs the extra ``kafka`` (confluent-kafka)."""

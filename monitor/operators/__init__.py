"""Serves the people at the plant: the local socket and the commands over MQTT."""

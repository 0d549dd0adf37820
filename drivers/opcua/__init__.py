"""OPC UA: subscriptions, proven alive or not believed."""

"""From a notification to a person: one channel after the other, until one is known to work."""

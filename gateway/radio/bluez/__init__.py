"""BlueZ: bleak as it is, and beside it what bleak leaves to others: bonds, agent, adapter."""

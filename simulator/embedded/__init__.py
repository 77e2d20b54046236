"""PostgreSQL and MQTT brokers as child processes of ours: no root, no Docker, loopback only."""

"""The demo: starts the whole chain on this machine, keeps it running, stops it at Ctrl-C."""

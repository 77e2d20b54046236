"""Virtual devices that behave like bought ones: they sleep, keep records and have wrong clocks."""

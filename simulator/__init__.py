"""Virtual radio, devices, people and faults; runs the demo."""

"""Sans-IO drivers: what each kind of device is asked, and what its answers mean."""

"""What concerns boxes and devices and not a body, as rows that technicians take and that end."""

"""Ways to reach a person, and what each says of what it was given."""

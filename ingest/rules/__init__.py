"""Personal rules, one file a kind; pure numpy."""

"""Our bleak backend on Bumble: the same two classes as each of bleak's own backends."""

"""What a device says: codecs, sans-IO drivers, quantities, readings and the wire format.

Nothing here performs I/O or reads a clock; every room may import it.
"""

"""Codecs of GATT characteristics and advertised service data, one file each."""

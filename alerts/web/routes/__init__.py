"""One module for each part of the pages. Every route names who may use it."""

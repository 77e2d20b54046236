"""Who looked at whom and did what: the chained access log, its proof, its extract, its review."""

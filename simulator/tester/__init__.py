"""The tester's page: the path of a measurement as lamps, faults on demand, and the ledger."""

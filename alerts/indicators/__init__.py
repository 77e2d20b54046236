"""Indicators for follow-up, from live data, per unit and huvudman: never of fewer than five."""

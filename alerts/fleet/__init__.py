"""Gateways and devices as technicians see them: no patient is named here, nor can be found."""

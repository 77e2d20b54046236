"""Enrolment of gateways: a small certificate authority, one-time codes, renewal, revocation."""

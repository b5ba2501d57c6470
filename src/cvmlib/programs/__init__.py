"""Marketing programs: what each one brought, whether that can be known, and the test that is missing."""

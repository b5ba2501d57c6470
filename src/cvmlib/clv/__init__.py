"""Customer lifetime value in non-contractual settings: counts, purchase models, spend, value, validation."""

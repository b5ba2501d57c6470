"""Customer value maximization: hierarchical Bayesian models and reports per business unit."""

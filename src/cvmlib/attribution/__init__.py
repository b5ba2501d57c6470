"""Attribution: journeys counted once, and what rules, Markov chains, Shapley values and experiments make of them."""

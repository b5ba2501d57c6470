"""The tables of a portfolio: contracts, sources, checks and cleaning."""

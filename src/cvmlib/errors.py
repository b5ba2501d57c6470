"""The exceptions of cvmlib: a user's mistake is told apart from a model that did not converge and from our own bugs."""


class CvmError(Exception):
    """Root of every error that cvmlib raises on purpose; its message is for the person who can fix the cause."""


class ConfigError(CvmError):
    """A mistake in the portfolio file (``business_units.toml``)."""


class DataError(CvmError):
    """The tables cannot be used as they are.

    Parameters
    ----------
    message : str
        What was found, where, how many rows, and the remedy; all problems at once.
    problems : list, optional
        The `cvmlib.tables.checks.Problem` records behind the message.
    """

    def __init__(self, message: str, problems: list | None = None) -> None:
        super().__init__(message)
        self.problems = problems or []


class UnfitModelError(CvmError):
    """A model could not be fitted, or its fit did not pass the diagnostics gate."""


class NotebookError(CvmError):
    """One or more notebooks failed while a report was built."""

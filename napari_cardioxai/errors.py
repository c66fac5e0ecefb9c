"""What can go wrong for a reason that the user can act on.

Each message is one sentence that says what is wrong, where, and what to do.
The command line prints it and exits with 2; the window shows it. Anything
that is not one of these is a fault of ours and keeps its traceback.
"""


class CardioxaiError(Exception):
    """Base of every error whose message is written for the user."""


class ScanError(CardioxaiError):
    """A file or folder that cannot be read as a scan."""


class LabelError(CardioxaiError):
    """Labels that do not fit their scan or carry values that nobody named."""


class MeasurementError(CardioxaiError):
    """A measurement that its input does not allow."""


class BundleError(CardioxaiError):
    """A model folder that is incomplete, inconsistent or of a refused format."""


class CohortError(CardioxaiError):
    """A collection of subjects that cannot be used as it is."""


class TrainingError(CardioxaiError):
    """A training that cannot be run as it was asked for."""


class OutputError(CardioxaiError):
    """A result that cannot be written where it was asked for."""


class AttributionError(CardioxaiError):
    """An explanation that the network, the input or the settings do not allow."""

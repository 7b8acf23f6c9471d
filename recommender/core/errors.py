"""What the core refuses, each named for what happened."""


class CoreError(Exception):
    """Something the caller can name to a person; the message is one sentence."""


class DatasetError(CoreError):
    """The dataset folder is missing, empty, or (with `strict`) holds a bad row."""


class UnknownModel(CoreError):
    """No trainer or model goes by that name."""


class BadParams(CoreError):
    """A parameter does not exist for the model, or its value is out of range."""


class TrainingDiverged(CoreError):
    """A loss or a parameter stopped being a finite number."""


class TrainingStopped(CoreError):
    """The caller's `should_stop` asked for the end of training."""


class ArtifactError(CoreError):
    """A stored model is missing, truncated, or does not match its manifest."""


class NotARatingModel(CoreError):
    """The model ranks; it does not predict ratings."""


class SparkUnavailable(CoreError):
    """Spark cannot begin: software is missing, or the cluster is away or has no executor."""


class SparkFailed(CoreError):
    """Spark began and ended without a model, or took longer than it may."""

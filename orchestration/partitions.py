"""One partition a character. Its own file, so that nothing imports assets to reach it."""

import warnings

import dagster as dg

CHARACTERS = dg.DynamicPartitionsDefinition(name="characters")

# Checks with a partition each are still marked as a preview in Dagster 1.13. Every definition passes through here, so the
# warning is silenced here, once, and nowhere else.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

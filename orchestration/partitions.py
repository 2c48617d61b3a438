"""The partitions: one a character. In a module of its own, so that importing it imports no asset."""

import warnings

import dagster as dg

CHARACTERS = dg.DynamicPartitionsDefinition(name="characters")

# Partitioned asset checks are still marked as a preview in Dagster 1.13. Every definition imports this
# module, so the warning is silenced once, here.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

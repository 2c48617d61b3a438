"""The production line for characters: from a folder with ten pictures to a model that talks and draws.

data/characters/<id>/   the kit a user brings                              (kit)
  -> validate           Great Expectations; a bad kit stops here           (kit)
  -> curate             normalised, captioned, de-duplicated, split        (kit)
  -> synthesize         conversations, portraits, questions; tests apart   (interactions)
  -> sft                cross-entropy on text, flow matching on pictures   (model, sft)
  -> grpo               group-relative rewards for pictures                (judges, grpo)
  -> evaluate           report.json, report.html, contact sheets           (evaluation)
  -> release            the promoted pointer, if the report is good enough
"""

import logging

# peft imports bitsandbytes wherever it is installed, which on CPUs with bf16 instructions warns that a
# package with a kernel is missing. That kernel is never used here (`model/bagel/quantization.py`).
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

"""Libraries of the model stack keep to errors: standard output belongs to the results."""

from __future__ import annotations

import logging
import warnings

from transformers.utils import logging as transformers_logging


def hush() -> None:
    """Silence progress bars, advice and deprecations of transformers, peft and bitsandbytes."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("bitsandbytes", "accelerate", "peft"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for package in ("transformers", "peft", "bitsandbytes", "accelerate", "torch"):
        warnings.filterwarnings("ignore", module=rf"{package}(\.|$)")

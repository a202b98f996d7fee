"""Completes a preview with what a maintainer can take away: the mapping and the configuration."""

from __future__ import annotations

from app.core.errors import ConfigProblem
from training.preview import mapping_file, proposed_config
from training.preview.figures import Preview
from training.preview.measure import Subject


def complete(preview: Preview, subject: Subject) -> Preview:
    """`preview` with its mapping file and, if anything was measured, a checked configuration."""
    mapping = subject.mapping
    text = None if mapping is None else mapping_file.dump(subject.proposal, mapping)
    config, problem = None, None
    if preview.knows:
        try:
            config = proposed_config.propose(
                preview.dimensions, preview.meanings, subject.taxonomy, subject.target
            )
        except ConfigProblem as error:
            problem = str(error)
    return preview.model_copy(update={"mapping": text, "config": config, "config_problem": problem})

"""Hugging Face Transformers: the checkpoints and the progress of a training, said by a callback of the Trainer.

Put this file beside your training, and name the callback. A callback isn't told of a failure; the step around it is::

    from transformers_callback import OnRecord

    with pipetrail.step("train"):
        Trainer(..., callbacks=[OnRecord()]).train()

Needs pipetrail in the image of the training. The events are about the pod of the training.
"""

from transformers import TrainerCallback

import pipetrail


class OnRecord(TrainerCallback):
    """``CheckpointSaved`` for each checkpoint, ``StepProgress`` when the Trainer logs; from one process of them all."""

    def on_save(self, args, state, control, **kwargs):
        """The Trainer has written a checkpoint."""
        if state.is_world_process_zero:
            pipetrail.checkpoint(f"{args.output_dir}/checkpoint-{state.global_step}", f"epoch {state.epoch or 0:.2f}")

    def on_log(self, args, state, control, **kwargs):
        """The Trainer logs every ``logging_steps`` steps."""
        if state.is_world_process_zero:
            pipetrail.progress(state.global_step, state.max_steps)

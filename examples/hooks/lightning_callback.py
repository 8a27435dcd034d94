"""PyTorch Lightning 2: checkpoints, and the failure of a training, said by a callback of the Trainer.

Put this file beside your training, and name the callback::

    from lightning_callback import OnRecord

    Trainer(callbacks=[OnRecord(), ModelCheckpoint(...)]).fit(...)

With the package ``pytorch-lightning`` write ``from pytorch_lightning.callbacks import Callback``. Needs pipetrail in
the image of the training. The events are about the pod of the training.
"""

from lightning.pytorch.callbacks import Callback

import pipetrail


class OnRecord(Callback):
    """``CheckpointSaved`` for each checkpoint, ``TrainingFailed``; from one process of them all."""

    saving = ""

    def on_save_checkpoint(self, trainer, pl_module, checkpoint):
        """A checkpoint is about to be written: said when training goes on, since only then it is there."""
        self.saving = f"epoch {trainer.current_epoch}, step {trainer.global_step}"

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        """Training goes on."""
        self._saved(trainer)

    def teardown(self, trainer, pl_module, stage):
        """Training ended."""
        self._saved(trainer)

    def on_exception(self, trainer, pl_module, exception):
        """Training failed."""
        if trainer.is_global_zero:
            # The type alone: the text of an exception may hold a password.
            pipetrail.emit("TrainingFailed", f"{type(exception).__name__}, step {trainer.global_step}", type="Warning")

    def _saved(self, trainer):
        if self.saving and trainer.is_global_zero:
            where = getattr(trainer.checkpoint_callback, "dirpath", None) or trainer.default_root_dir
            pipetrail.checkpoint(str(where), self.saving)
        self.saving = ""

"""What the Trainer of Transformers does with its callbacks, with its own handler and states, but without a model."""

# mypy: ignore-errors
# Transformers is only in the environment that runs this.
from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import CallbackHandler, DefaultFlowCallback
from transformers_callback import OnRecord

import pipetrail

if __name__ == "__main__":
    arguments = TrainingArguments(output_dir="models")
    state = TrainerState(max_steps=100, is_world_process_zero=True)
    other = TrainerState(max_steps=100, global_step=50, is_world_process_zero=False)
    control = TrainerControl()
    handler = CallbackHandler([DefaultFlowCallback(), OnRecord()], None, None, None, None)
    with pipetrail.step("train"):
        handler.on_train_begin(arguments, state, control)
        state.global_step, state.epoch = 40, 0.4
        handler.on_log(arguments, state, control, {"loss": 0.5})
        handler.on_save(arguments, state, control)
        handler.on_log(arguments, other, control, {"loss": 0.5})
        handler.on_save(arguments, other, control)
        handler.on_train_end(arguments, state, control)
    pipetrail.flush(60)  # a busy machine takes long to read a kubeconfig

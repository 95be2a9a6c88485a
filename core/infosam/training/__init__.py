"""The Trainer, its checkpoints and schedule, and the pre-training of sam_pocket."""

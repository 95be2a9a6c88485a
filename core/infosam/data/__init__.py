"""Images, masks, prompts and the annotation store."""

"""Five answers to "what should a model predict?", trained alike on the `shapes` world.

`config` is the common budget; `vjepa`, `contrastive`, `token_vlm` and `flow` are the arms; `recipe` trains them and
`measure` compares them; `short` is a run of minutes, to be watched.
"""

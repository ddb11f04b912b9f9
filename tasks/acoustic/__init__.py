"""Training the acoustic network: sentences, synthesized voices, augmentation, data on disk, the loop.

Only `flows.train_acoustic` and the tests call this; whoever just wants features uses `models.acoustic`.
"""

"""SyncTalkFace: sound addresses a memory of lip features, and what is recalled draws the mouth."""

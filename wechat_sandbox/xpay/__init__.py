"""Virtual payment (`wechat.md` B): what the user's client places, what servers may ask."""

"""FACIAL: head, blinks and face are performed from sound, and a picture is drawn of them."""

"""The app ``channels_classic.live``: a page in Django's admin that shows what happens in the channel layer."""

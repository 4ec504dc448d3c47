"""The site of the show: a Django project with a chat that records what it does."""

"""The site of the show: a Django project with a chat that writes down what it does."""

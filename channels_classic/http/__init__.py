"""Django's views over channels: messages as requests, responses as messages (specification, section 9).

``request`` makes a Django request of a message, ``handler`` runs it through the views, ``consumer`` sends the
answer, ``staticfiles`` adds the files of development. Import them by their classic names,
``channels_classic.handler`` and ``channels_classic.staticfiles``.
"""

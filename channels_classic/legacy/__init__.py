"""Old projects, unchanged: ``import channels_classic.legacy`` (specification, section 13).

As the first line of ``manage.py``, ``asgi.py`` or the settings it makes the names of the classic packages mean
this project's: ``channels``, ``asgi_redis`` and ``asgiref.inmemory``, in imports, in ``INSTALLED_APPS`` and in
``BACKEND``. It also brings the oldest dialect back: ``@Channel.consumer`` and the ``channel_encode`` and
``channel_decode`` of requests and responses.
"""

from __future__ import annotations

from channels_classic.legacy import dialect, finder

finder.install()
dialect.install()

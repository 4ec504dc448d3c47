"""Old projects, unchanged: ``import channels_classic.legacy`` (specification, section 13).

As the first line of ``manage.py``, ``asgi.py`` or the settings, it makes the names of the classic packages stand
for this project's modules: ``channels``, ``asgi_redis``, ``asgiref.inmemory`` and ``asgiref.base_layer``, in
imports, in ``INSTALLED_APPS`` and in ``BACKEND``. It also brings the oldest dialect back: ``@Channel.consumer``
and the ``channel_encode`` and ``channel_decode`` of requests and responses. And it lets old forms of names,
messages and values be accepted.
"""

from __future__ import annotations

from channels_classic import old_forms
from channels_classic.layers import codec
from channels_classic.legacy import dialect, finder

finder.install()
dialect.install()
old_forms.accepted = codec.old_values = True

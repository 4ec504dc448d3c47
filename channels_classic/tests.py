"""The older name of ``channels_classic.test``: the same module (specification, section 13)."""

import sys

from channels_classic import test

sys.modules[__name__] = test

from __future__ import annotations

import pytest

from rackwright.errors import UsageError
from rackwright.lifecycle.plan import refuse_unknown_roles


def test_a_role_that_there_is_not_is_refused_with_the_nearest():
    refuse_unknown_roles(("gateway", "firewall"))
    with pytest.raises(UsageError, match="replicas: no role of that name; did you mean replica\\?"):
        refuse_unknown_roles(("gateway", "replicas"))

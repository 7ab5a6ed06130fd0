"""Whether hosts are ready to be provisioned: what they have, what they lack, what to do about it. Reads only."""

from rackwright.lifecycle.assess.ask import assess, expected_of, expected_of_stranger, stranger
from rackwright.lifecycle.assess.assessed import Assessed, Assessment, Verdict

__all__ = ["Assessed", "Assessment", "Verdict", "assess", "expected_of", "expected_of_stranger", "stranger"]

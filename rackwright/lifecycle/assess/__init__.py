"""Whether hosts are ready to be provisioned: what they have, what they lack, and what to do about it. Read-only."""

from rackwright.lifecycle.assess.assessment import Assessed, Assessment, Verdict
from rackwright.lifecycle.assess.procedure import assess, expected_of, expected_of_stranger, stranger

__all__ = ["Assessed", "Assessment", "Verdict", "assess", "expected_of", "expected_of_stranger", "stranger"]

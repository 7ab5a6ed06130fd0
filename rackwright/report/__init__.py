"""A Run and a verdict as text, JSON and Markdown, and the progress of a command while it works."""

from rackwright.report.document import document
from rackwright.report.live import Live
from rackwright.report.markdown import markdown
from rackwright.report.plan_summary import to_look_at
from rackwright.report.text import apply_text, plan_text

__all__ = ["Live", "apply_text", "document", "markdown", "plan_text", "to_look_at"]

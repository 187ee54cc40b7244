"""Text that no report may let through as anything but text."""

from __future__ import annotations

import re

HOSTILE = (
    "<script>alert(1)</script> | a `b` **c** [d](javascript:e) ![f](http://g/h.png) </details> @everyone #1 "
    "\x1b[31mred\x1b[0m \x9b2J \x00 \u202egnp\u202c ]]> -->\r\n## heading\n- item"
)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

"""What can go wrong in the lab, said to the person who typed the command."""

from appliance.domain.errors import RackwrightError


class LabFailed(RackwrightError):
    """The virtual rack could not be raised or reached."""

    code = "lab-failed"


class NotReady(RackwrightError):
    """The computer lacks something that the lab needs."""

    code = "lab-not-ready"
    blame = "caller"


class StoryFailed(RackwrightError):
    """A step of the story did not end as it must."""

    code = "story-failed"

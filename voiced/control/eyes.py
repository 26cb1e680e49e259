"""Where pictures for the model come from, put together: cameras, and what is posted."""

from __future__ import annotations

from collections.abc import Callable

from voiced.control.cameras import Cameras
from voiced.control.hands import Hands
from voiced.control.minds import Minds
from voiced.control.pictures import Pictures
from voiced.control.web.door import WebDoor
from voiced.messages.network import ToNetwork


class Eyes:
    """Every agent's sources of pictures.

    Args:
        hands: whose camera process and token they are.
        minds: who sees.
        send: gives network a message.

    Attributes:
        pictures: a door of the minds.
        cameras: those that sessions look through.
        web: where pictures are posted.
    """

    def __init__(self, hands: Hands, minds: Minds, send: Callable[[ToNetwork], None]) -> None:
        self.pictures = Pictures(minds.agents, send, lambda: self.cameras.look())
        self.cameras = Cameras(hands.camera, minds.agents, self.pictures.give, minds.put)
        self.web = WebDoor(
            lambda: minds.agents, self.pictures.post, self.pictures.problem, lambda: hands.web_token
        )

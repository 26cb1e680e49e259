"""The engines all conversations share, each behind its own thread, loaded at first use."""

from __future__ import annotations

import logging

from voiced.inference import models, recogniser, small_model, speech
from voiced.inference.models import EngineUnavailable
from voiced.inference.recogniser import Recogniser
from voiced.inference.small_model import SmallModel
from voiced.inference.worker import Worker
from voiced.messages.inference import Engine

logger = logging.getLogger(__name__)


class Voices:
    """The voices that were asked for so far, loaded in the thread that speaks."""

    def of(self, name: str) -> speech.Voice:
        """Return the voice of this name.

        Raises:
            EngineUnavailable: it cannot be had.
        """
        return speech.shared(name)


class Engines:
    """Detection, recognition, speech, and the small language model for whoever asks for it."""

    def __init__(self) -> None:
        self.detection: Worker[None] = Worker("detection", lambda: None)
        """Runs the conversations' own detectors."""
        self.recognition: Worker[Recogniser] = Worker("recognition", recogniser.shared)
        self.speech: Worker[Voices] = Worker("speech", Voices)
        self.small_model: Worker[SmallModel] = Worker("small model", small_model.load)

    async def warm(self) -> list[str]:
        """Load the recogniser and the packaged voice; return a sentence for each missing one."""
        sentences: list[str] = []
        for loading in (
            self.recognition.warm(),
            self.speech.submit(lambda voices: voices.of("")),
        ):
            try:
                await loading
            except EngineUnavailable as missing:
                sentences.append(str(missing))
        return sentences

    @staticmethod
    def available() -> tuple[Engine, ...]:
        """Return what is installed, for `Ready`."""
        return (*models.available(), speech.available())

    def close(self) -> None:
        """Let the threads end."""
        for worker in (self.detection, self.recognition, self.speech, self.small_model):
            worker.close()

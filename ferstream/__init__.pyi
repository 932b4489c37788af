from ferstream import errors as errors
from ferstream import examples as examples
from ferstream.api.events import Event as Event
from ferstream.api.events import FaceEvent as FaceEvent
from ferstream.api.events import StateEvent as StateEvent
from ferstream.api.events import SummaryEvent as SummaryEvent
from ferstream.api.events import TrackEvent as TrackEvent
from ferstream.api.events import parse_event as parse_event
from ferstream.api.live import Watch as Watch
from ferstream.api.live import watch as watch
from ferstream.api.networks import unload_models as unload_models
from ferstream.api.pictures import analyze as analyze
from ferstream.api.recordings import Replay as Replay
from ferstream.api.recordings import replay as replay
from ferstream.api.tables import to_dataframe as to_dataframe
from ferstream.api.values import Face as Face
from ferstream.api.values import Faces as Faces

__all__: list[str]
__version__: str

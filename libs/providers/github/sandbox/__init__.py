"""GitHub's REST interface, played from a real git repository on this machine."""

from libs.providers.github.sandbox.stand_in import GithubStandIn
from libs.sandbox.contract import StandInFactory

STAND_IN: StandInFactory = GithubStandIn

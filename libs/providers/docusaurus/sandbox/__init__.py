"""A real built documentation site, served and rebuilt on this machine."""

from libs.providers.docusaurus.sandbox.stand_in import DocusaurusStandIn
from libs.sandbox.contract import StandInFactory

STAND_IN: StandInFactory = DocusaurusStandIn

"""`python -m services.webhooks serve [--only http|consumers|workers] | migrate | openapi | settings`."""

import sys

from libs.common.command import run_command
from services.webhooks.settings import WebhooksSettings

if __name__ == "__main__":
    sys.exit(run_command("webhooks", WebhooksSettings, "services.webhooks.app"))

#!/bin/bash
# Formats the log at the first start, then becomes the broker.
set -euo pipefail
config=/etc/sluice/server.properties
if [ ! -f /var/lib/kafka/data/meta.properties ]; then
  cluster=$(/opt/kafka/bin/kafka-storage.sh random-uuid)
  /opt/kafka/bin/kafka-storage.sh format --cluster-id "$cluster" --config "$config"
fi
exec /opt/kafka/bin/kafka-server-start.sh "$config"

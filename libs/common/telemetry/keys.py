"""What a log line or a span may tell: a key that is not listed here is dropped and counted."""

from __future__ import annotations

# Ids, versions, counts, times and codes of ours. Never a title, a path inside a source, a person's name, a body or a
# URL with its query. A new key needs one line here and the question "could a secret or someone's text ever be in it?".
ALLOWED_KEYS = frozenset(
    # the line itself
    " event level at service room trace_id span_id component outcome reason code detail pointer error_type"
    " error_frames error_causes error_detail dropped_keys suppressed"
    # the HTTP edge and the outbound client
    " request_id method route status duration_ms bytes host port scheme address attempt attempts retry_in"
    " redirects principal caller audience"
    # things of ours
    " workspace workspace_id integration integration_id resource resource_id source source_id source_type run"
    " run_id delivery delivery_id endpoint endpoint_id subscription_id chunk_id summary_id generation provider"
    " type kind change cause feature version old_version new_version content_hash credential_version expires_at"
    # bus, outbox, jobs, leases
    " topic topics topic_count partition partitions offset group consumer consumer_group event_id message_id"
    " seq from_seq to_seq lag cluster_id old_cluster_id disposition dead_letter_id job job_id job_kind lease"
    " lease_owner owner epoch until retry_after backoff wait disposition_code delay batch"
    # amounts
    " count total pages items rows created updated deleted unchanged skipped failed quarantined published"
    " parked claimed remaining limit budget size max duration elapsed_ms seconds started finished pending ready"
    " healthy queue_depth"
    # running
    " pid signal exit_code stage crashpoint setting table migration revision schema role pool database state"
    " old_state new_state ready_checks language chunks tokens_total".split()
)

# OpenTelemetry's own names, of which none holds text of a caller: no url.query, no db.query.text, no header.
ALLOWED_ATTRIBUTES = ALLOWED_KEYS | frozenset(
    (
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "server.address",
        "server.port",
        "error.type",
        "db.system",
        "db.system.name",
        "db.operation.name",
        "messaging.system",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.kafka.offset",
        "messaging.kafka.message.offset",
        "messaging.operation.type",
        "messaging.message.id",
        "messaging.consumer.group.name",
        "network.peer.address",
        "network.peer.port",
    )
)

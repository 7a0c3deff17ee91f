#!/bin/sh
# The rights of an observer: get, history, tail, dead-letters list and show. Usage: see README.md, "Security".
set -eu
namespace=${NAMESPACE:-thalweg}

allow() {
  kafka-acls.sh --bootstrap-server "${BOOTSTRAP:?}" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \
    --add --allow-principal "${PRINCIPAL:?}" "$@"
}

# It reads what happened, what became of it, and the schemas that it was written with.
allow --operation Read \
  --topic "$namespace.contexts" --topic "$namespace.registry" --topic "$namespace.dead-letters" \
  --topic "$namespace.action-requests" --topic "$namespace.action-results" \
  --topic "$namespace.business-facts" --topic "$namespace.system-events" \
  --topic "$namespace.notification-events" --topic "$namespace.plan-events" \
  --topic "$namespace.task-events" --topic "$namespace.billing-events"

# Where an execution lies follows from how many partitions the inbox has.
allow --operation Describe --topic "$namespace.inbox"

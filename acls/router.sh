#!/bin/sh
# The rights of a router. Usage: see README.md, "Security".
set -eu
namespace=${NAMESPACE:-thalweg}

allow() {
  kafka-acls.sh --bootstrap-server "${BOOTSTRAP:?}" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \
    --add --allow-principal "${PRINCIPAL:?}" "$@"
}

# It reads the inbox as a member of its group, restores contexts, and looks schemas up.
allow --operation Read --group "$namespace.router" \
  --topic "$namespace.inbox" --topic "$namespace.contexts" --topic "$namespace.registry"

# It writes what a step decides, registers its schemas, and forwards to the inbox what lies on a wrong partition.
allow --operation Write \
  --topic "$namespace.inbox" --topic "$namespace.contexts" --topic "$namespace.registry" \
  --topic "$namespace.dead-letters" \
  --topic "$namespace.action-requests" --topic "$namespace.action-results" \
  --topic "$namespace.business-facts" --topic "$namespace.system-events" \
  --topic "$namespace.notification-events" --topic "$namespace.plan-events" \
  --topic "$namespace.task-events" --topic "$namespace.billing-events"

# Its transactions: the ids are the namespace, the instance, the lane and a number.
allow --operation Write --transactional-id "$namespace." --resource-pattern-type prefixed

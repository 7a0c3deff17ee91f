#!/bin/sh
# The rights of an operator: topics, topics --adopt, dead-letters redrive and discard. Usage: see README.md, "Security".
set -eu
namespace=${NAMESPACE:-thalweg}

allow() {
  kafka-acls.sh --bootstrap-server "${BOOTSTRAP:?}" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \
    --add --allow-principal "${PRINCIPAL:?}" "$@"
}

# Topics are created and seen, and their settings compared with what is wanted.
allow --operation Create --operation Describe --operation DescribeConfigs \
  --topic "$namespace." --resource-pattern-type prefixed

# The broker's limits are a part of the comparison.
allow --operation DescribeConfigs --cluster

# Dead letters: it reads them, what people decided about others, and the executions that they are about. Of a letter that
# was cut, the inbox has the original.
allow --operation Read \
  --topic "$namespace.dead-letters" --topic "$namespace.registry" --topic "$namespace.contexts" \
  --topic "$namespace.inbox"

# They are sent back to the inbox, and marked in the registry.
allow --operation Write --topic "$namespace.inbox" --topic "$namespace.registry"

# An inbox that was replaced: it sees the routers' group, and in one transaction sets its offsets and writes contexts anew.
allow --operation Read --group "$namespace.router"
allow --operation Write --topic "$namespace.contexts"
allow --operation Write --transactional-id "$namespace.adopt"

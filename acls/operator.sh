#!/bin/sh
# The rights to create and check the topics of a namespace. Usage: see README.md, "Security".
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

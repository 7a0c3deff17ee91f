#!/bin/sh
# The rights of a client, which writes to the inbox and reads nothing. Usage: see README.md, "Security".
set -eu
namespace=${NAMESPACE:-thalweg}

kafka-acls.sh --bootstrap-server "${BOOTSTRAP:?}" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \
  --add --allow-principal "${PRINCIPAL:?}" --operation Write --topic "$namespace.inbox"

#!/bin/sh
# Runs every fuzz target, or those named, for SECONDS_EACH (600) seconds, one after the other, and says what each came to.
# Needs `cargo install cargo-fuzz` and a nightly toolchain.
set -eu
cd "$(dirname "$0")"
seconds=${SECONDS_EACH:-600}
[ "$#" -gt 0 ] || set -- inbound step records schema effect merge_patch text
failed=0
for target; do
  # What a schema learns stays for the life of its process, so that one is started now and then anew.
  fork=
  [ "$target" != schema ] || fork=-fork=1
  mkdir -p "corpus/$target"
  log=$(mktemp)
  status=0
  cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
    -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -max_len=4096 -dict=json.dict \
    -print_final_stats=1 $fork >"$log" 2>&1 || status=$?
  printf '%s: exit %s; ' "$target" "$status"
  grep -E 'DONE|^#[0-9]+:? .*cov' "$log" | tail -n 1 || echo "no figures"
  if [ "$status" -ne 0 ]; then
    failed=1
    grep -E '^error|panicked|ERROR: |SUMMARY|Test unit written|^Base64' -A 2 "$log" | head -n 20
  fi
  rm -f "$log"
done
exit "$failed"

#!/bin/sh
# Runs Mosquitto on certificates and revocations that change while it runs: starts it anew when
# they have, which takes half a second and loses nothing, since the broker is a cable and no store.
#
# Not by SIGHUP: Mosquitto then reads the list for who comes, but leaves a revoked gateway that is
# connected; and 2.0.11 uses freed memory after it (docs/decisions/0008-enrolment.md).
set -eu

config=${MOSQUITTO_CONFIG:-/mosquitto/config} # mosquitto.conf, acl
tls=${MOSQUITTO_TLS:-/broker}                 # what alerts writes
look_s=${MOSQUITTO_LOOK_S:-5}                 # between two looks at the files
least_looks=${MOSQUITTO_LEAST_LOOKS:-12}      # between two starts: many revocations are one
end_s=${MOSQUITTO_END_S:-10}                  # for the broker to end by itself

files="$tls/crl.pem $tls/ca.pem $tls/cert.pem $tls/key.pem"

are_there() { for file in $files; do [ -r "$file" ] || return 1; done; }
state() { cksum $files "$config/acl" 2>&1 || true; }

broker=
stopping=
stop() {
  stopping=1
  [ -z "$broker" ] || kill -TERM "$broker" 2>/dev/null || true
}
trap stop TERM INT
# Ends the broker, by force if it does not go; its status is in $status. One that has ended already
# costs no time.
end_broker() {
  kill -TERM "$broker" 2>/dev/null || true
  (sleep "$end_s" && kill -KILL "$broker") >/dev/null 2>&1 &
  killer=$!
  while :; do
    status=0
    wait "$broker" || status=$?
    kill -0 "$broker" 2>/dev/null || break # else a signal has ended the wait
  done
  kill -TERM "$killer" 2>/dev/null || true
}
pause() { sleep "$look_s" & wait $! || true; }

are_there || echo "waiting for certificates in $tls: python -m alerts ca init"
until [ -n "$stopping" ] || are_there; do pause; done

while [ -z "$stopping" ]; do
  used=$(state)
  mosquitto -c "$config/mosquitto.conf" &
  broker=$!
  before=$used
  looks=0
  while [ -z "$stopping" ] && kill -0 "$broker" 2>/dev/null; do
    pause
    looks=$((looks + 1))
    now=$(state)
    # Two looks alike: a key and its certificate are two files, and belong together.
    if [ "$now" != "$used" ] && [ "$now" = "$before" ] && [ "$looks" -ge "$least_looks" ] &&
      are_there; then
      end_broker
      echo "certificates or revocations have changed: started anew"
      continue 2
    fi
    before=$now
  done
  end_broker
  exit "$status"
done

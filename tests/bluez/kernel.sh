#!/bin/sh
# Unpack the pinned Debian kernel into a directory: tests/bluez/kernel.sh DIRECTORY
# The release is pinned because others panic while pairing (6.1.192-2 does).
set -eu
package=linux-image-6.1.0-50-amd64
directory=$(realpath -m "$1")
if ! ls "$directory"/boot/vmlinuz-* >/dev/null 2>&1; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  apt-get download -q "$package" >&2 || {
    echo "The kernel package $package cannot be had from this machine's package sources." >&2
    exit 1
  }
  rm -rf "$directory.part"
  dpkg-deb -x ./*.deb "$directory.part"
  mkdir -p "$directory"
  cp -a "$directory.part"/. "$directory"
  rm -rf "$directory.part"
fi

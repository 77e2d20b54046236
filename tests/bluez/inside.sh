# In the virtual machine: D-Bus, bluetoothd, the command, a verdict, power off.
# @…@ are filled in by machine.py.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp
stop() { echo "machine: exit $1"; sync; echo o > /proc/sysrq-trigger; sleep 60; }
ip link set lo up 2>/dev/null || busybox ip link set lo up
mkdir -p /run/dbus
dbus-daemon --system --fork --nopidfile || stop 125
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket
@BLUETOOTHD@ >/tmp/bluetoothd.log 2>&1 &
cd @DIRECTORY@ || stop 125
export PYTHONDONTWRITEBYTECODE=1 @ENVIRONMENT@
@COMMAND@
code=$?
[ $code = 0 ] || tail -n 40 /tmp/bluetoothd.log
stop $code

# Runs one PostgreSQL server for as long as somebody uses it.
#
# Usage: sh supervise.sh POSTGRES DATA RUN [OPTION...], with the FIFO `RUN/users` open for reading as standard input.
#
# Every process that uses the server keeps `users` open for writing and first writes a line to it. So the kernel
# counts the users, and a SIGKILL of one counts as leaving. When the last is gone the server is stopped, and `RUN` removed.
# This file is POSIX sh: dash, bash 3.2, busybox.
postgres=$1
data=$2
run=$3
shift 3

exec 3<&0 </dev/null
"$postgres" -D "$data" "$@" 3<&- &
server=$!

(
    while :; do
        # Until the last user is gone. `quit` comes from a starter that found the server dead.
        while read -r line <&3; do
            [ "$line" = quit ] && exit 0
        done
        # From here nobody new can come in. Whoever came in just before has written a line, or will.
        mv "$run/users" "$run/users.closing"
        read -r line <&3 || break
        mv "$run/users.closing" "$run/users"
    done
    # A fast shutdown; then without ceremony, which costs a recovery at the next start; then by force.
    kill -INT "$server"
    ticks=0
    while kill -0 "$server" 2>/dev/null; do
        ticks=$((ticks + 1))
        [ "$ticks" -eq 500 ] && kill -QUIT "$server"
        [ "$ticks" -eq 1000 ] && kill -KILL "$server"
        [ "$ticks" -eq 1250 ] && exit 1
        sleep 0.02
    done
    # While a starter can see the folder it sees that we are closing, and waits. So it goes as a whole.
    mv "$run" "$run.gone" && rm -rf "$run.gone"
) &
users=$!

# Only the process above holds the FIFO now: the supervisor counts as alive exactly while it watches.
exec 3<&-
trap 'kill -INT "$server"' HUP INT TERM
while kill -0 "$server" 2>/dev/null; do
    wait "$server"
done
# The server has ended while it had users: there is nothing left to watch. Else the process above is just closing.
[ -p "$run/users" ] && kill "$users" 2>/dev/null
wait "$users" 2>/dev/null

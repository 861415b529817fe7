# scripts/bench-proxy.sh -- a line with latency, for benches over SSH: a proxy that
# holds everything back for 25 ms each way.  Sourced after tests/e2e/vault.sh.

# proxy_start: $FAR is a port that leads to $PORT, 25 ms away.
proxy_start()
{
    FAR=$((PORT + 1))
    cat >"$T/proxy.py" <<'EOF'
import asyncio, sys
far, port, delay = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])

async def pipe(reader, writer):
    loop, queue = asyncio.get_running_loop(), asyncio.Queue()

    async def send():
        while True:
            when, data = await queue.get()
            await asyncio.sleep(max(0, when - loop.time()))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    sender = asyncio.create_task(send())
    while True:
        try:
            data = await reader.read(1 << 18)
        except OSError:
            data = b""
        queue.put_nowait((loop.time() + delay, data))
        if not data:
            break
    await sender

async def client(reader, writer):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(pipe(reader, w), pipe(r, writer),
                         return_exceptions=True)

async def main():
    server = await asyncio.start_server(client, "127.0.0.1", far)
    await server.serve_forever()

asyncio.run(main())
EOF
    python3 "$T/proxy.py" "$FAR" "$PORT" 0.025 2>/dev/null &
    children+=($!)
    echo "[127.0.0.1]:$FAR $(cut -d' ' -f1,2 "$V/host.pub")" \
        >>"$V/known_hosts"
    sleep 0.5
}

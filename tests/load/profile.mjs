// `node tests/load/bench.mjs --profile`: profiles the isolate during GETs through workerd's inspector. Build with
// KEEP_NAMES=1 to see the names of wasm functions.

/** Profiles the Worker behind the inspector at `address` while `work` runs. Prints the top 45 by self time. */
export async function profile(address, work) {
  const targets = await (await fetch(`http://${address}/json`)).json();
  const socket = new WebSocket(targets[0].webSocketDebuggerUrl);
  await new Promise((opened, failed) => {
    socket.onopen = opened;
    socket.onerror = failed;
  });
  let count = 0;
  const waiting = new Map();
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    waiting.get(message.id)?.(message.result);
  };
  const call = (method, params = {}) =>
    new Promise((answered) => {
      count += 1;
      waiting.set(count, answered);
      socket.send(JSON.stringify({ id: count, method, params }));
    });
  await call("Profiler.enable");
  await call("Profiler.setSamplingInterval", { interval: 200 });
  await call("Profiler.start");
  const figures = work();
  const { profile: taken } = await call("Profiler.stop");
  socket.close();
  const self = new Map();
  for (const node of taken.nodes) {
    const { functionName, url } = node.callFrame;
    const name = `${functionName || "(anonymous)"} ${url.split("/").at(-1)}`;
    self.set(name, (self.get(name) ?? 0) + node.hitCount);
  }
  const total = [...self.values()].reduce((sum, hits) => sum + hits, 0);
  console.log(figures);
  for (const [name, hits] of [...self].sort((a, b) => b[1] - a[1]).slice(0, 45)) {
    console.log(`${((hits / total) * 100).toFixed(1).padStart(5)} %  ${name.slice(0, 140)}`);
  }
}

// `make token SUB=alice`: prints a token for the running `make dev`, signed by the simulator, which plays an app's
// backend.
const subject = process.argv[2] ?? "alice";
const url = `http://127.0.0.1:${process.env.SIM_PORT ?? "8788"}/session`;
try {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ sub: subject }),
  });
  if (!response.ok) throw new Error(`${url} responded with status ${response.status}`);
  console.log((await response.json()).token);
} catch (error) {
  console.error(`No token: ${error.message}. Is \`make dev\` running?`);
  process.exit(1);
}

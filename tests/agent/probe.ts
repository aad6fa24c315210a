/** Run with the agent's permissions: tries what the agent has no business doing, and prints how each try ended. */
const TRIES: Readonly<Record<string, () => unknown>> = {
  "read a file of the host": () => Deno.readTextFileSync("/etc/hostname"),
  "read a file in /proc": () => Deno.readTextFileSync("/proc/self/environ"),
  "read a file of the project": () => Deno.readTextFileSync("deno.json"),
  "list the root directory": () => [...Deno.readDirSync("/")],
  "write a file": () => Deno.writeTextFileSync("/tmp/kpod-metrics-probe", ""),
  "write to its packages": () => Deno.writeTextFileSync("node_modules/kpod-metrics-probe", ""),
  "run a program": () => new Deno.Command("true").outputSync(),
  "see HOME": () => Deno.env.get("HOME"),
  "see all variables": () => Deno.env.toObject(),
  "set a variable of others": () => Deno.env.set("PATH", ""),
  "load a library by name": () => Deno.dlopen("libc.so.6", {}),
  "load a library by path": () => Deno.dlopen("/usr/lib/libc.so.6", {}),
  "ask for the host's name": () => Deno.hostname(),
  "fetch from a DNS name": () => fetch("http://kpod-metrics.invalid/"),
  "connect to a DNS name": () => Deno.connect({ hostname: "kpod-metrics.invalid", port: 80 }),
  "see one of its own variables": () => Deno.env.get("KPOD_PROFILE"),
  "read its packages": () => Deno.readDirSync("node_modules").next(),
};

const results: Record<string, string> = {};
for (const [name, attempt] of Object.entries(TRIES)) {
  try {
    await attempt();
    results[name] = "allowed";
  } catch (error) {
    results[name] = error instanceof Deno.errors.NotCapable ? "refused" : `failed: ${error}`;
  }
}
console.log(JSON.stringify(results));

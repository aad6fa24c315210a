import assert from "node:assert/strict";
import { type Facts, parseConfig } from "../../src/config.ts";
import { describeConfig, helpText } from "../../src/config_help.ts";
import { VARIABLES } from "../../src/config_variables.ts";

const FACTS: Facts = { arch: "x86_64", programDirectory: "/app/bpf", hostname: "box" };
const NODE = { NODE_IP: "10.0.0.1", NODE_NAME: "node1" };

Deno.test("the description tells what is set from what is default, even if both are the same", () => {
  const lines = describeConfig(
    parseConfig({ ...NODE, KPOD_LOG_LEVEL: "info" }, { ...FACTS, arch: "aarch64" }),
  )
    .split("\n");
  for (
    const expected of [
      "KPOD_LOG_LEVEL=info",
      "KPOD_LOG_FORMAT=json  # default",
      "KPOD_KUBELET_URL=https://10.0.0.1:10250  # default",
      "KPOD_KUBELET_SERVER_NAME=10.0.0.1,node1  # default",
      "KPOD_KUBELET_INSECURE_TLS=false  # default",
      "# KPOD_KUBELET_CERT_FILE is not set",
      "# collectors: cpu_sched, tcp, oom, page_faults, disk, interface, filesystem, cpu, memory, pressure, pids",
      "# not on this architecture: epoll_wait",
    ]
  ) assert.ok(lines.includes(expected), expected);
});

Deno.test("the help has every variable with what it takes and its default", () => {
  const help = helpText();
  for (const [name, variable] of Object.entries(VARIABLES)) {
    const entry = help.split("\n\n").find((paragraph) => paragraph.startsWith(`  ${name}\n`)) ?? "";
    assert.ok(entry.includes(`Takes ${variable.field.description}.`), name);
    assert.equal(entry.includes("Default: "), "default" in variable, name);
  }
  assert.match(
    help,
    /KPOD_POLL_INTERVAL_MS\n.*\n +Takes a whole number of milliseconds from 1000 to 600000\.\n +Default: 30000\n/,
  );
});

Deno.test("every variable of the agent has one of these beginnings, for the permission to read it", () => {
  for (const name of Object.keys(VARIABLES)) assert.match(name, /^(KPOD_[A-Z_]+|NODE_(IP|NAME))$/);
});

/** Programs that are called by way of perf, for kernels that preempt others: when they are taken, and what they count. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { SignalName } from "../../src/native/signals.ts";
import type { States } from "./load_states.ts";
import { needsTracefs } from "./requirements.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DECODER = new TextDecoder();

/** Where libbpf looks for tracefs first. */
const DEBUGFS = "/sys/kernel/debug";

/** Runs Deno in a mount namespace of its own, where /sys/kernel/tracing is a file system of this type. */
async function withTracing(type: "tracefs" | "tmpfs", args: readonly string[], rungs = "") {
  const script = `set -e; if [ -d ${DEBUGFS} ]; then mount -t tmpfs none ${DEBUGFS}; fi
    mount -t ${type} none /sys/kernel/tracing; exec "$@"`;
  const { code, stdout } = await new Deno.Command("unshare", {
    args: ["--mount", "sh", "-c", script, "sh", Deno.execPath(), ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", KPOD_TEST_RUNGS: rungs },
    stderr: "inherit",
  }).output();
  return { code, output: DECODER.decode(stdout) };
}

const NO_EVENT = /^tracefs \(\/sys\/kernel\/tracing\) does not tell of \w+\/\w+: No such file or directory$/;
const EXACT: readonly SignalName[] = [
  "tcp_bytes_sent",
  "tcp_bytes_received",
  "tcp_connections",
  "syscall",
];

for (
  const { title, tracing, kernel, hook, mayMiss } of [
    {
      title: "are taken where the kernel may preempt others",
      tracing: "tracefs",
      kernel: "preempted",
      hook: "tracepoint",
      mayMiss: /^$/,
    },
    {
      title: "are not taken where it does not",
      tracing: "tracefs",
      kernel: "not preempted",
      hook: "tp_btf",
      mayMiss: /^$/,
    },
    {
      title: "give way to others, with the reason, where there is no tracefs",
      tracing: "tmpfs",
      kernel: "preempted",
      hook: "tp_btf",
      mayMiss: NO_EVENT,
    },
  ] as const
) {
  Deno.test(`programs that are not preempted ${title}`, needsTracefs, async () => {
    const { output } = await withTracing(tracing, [
      ...["run", "--cached-only", "--allow-all", "tests/kernel/load_states.ts", "bpf", kernel],
    ]);
    const states: States = JSON.parse(output);
    assert.deepEqual(states.filter(({ state }) => state !== "attached"), []);
    for (const name of EXACT) {
      const own = states.filter(({ signal }) => signal === name);
      assert.ok(own.length > 0, name);
      for (const state of own) {
        assert.equal(state.hook, hook, state.program);
        assert.match(state.mayMiss, mayMiss);
      }
    }
    const others = states.filter(({ signal }) => !EXACT.includes(signal));
    assert.ok(others.every(({ mayMiss }) => mayMiss === ""));
  });
}

const BY_CONNECTION =
  "tcp_bytes_received=tcp_rcv_space_adjust_perf tcp_connections=tcp_rcv_space_adjust_perf";

for (
  const [program, file] of [
    ["syscall=sys_enter_perf", "syscall.test.ts"],
    [`tcp_bytes_sent=sock_send_length_perf ${BY_CONNECTION}`, "tcp_bytes.test.ts"],
    [BY_CONNECTION, "tcp_connections.test.ts"],
  ] as const
) {
  Deno.test(`all of ${file} holds by ${program}`, needsTracefs, async () => {
    const { code, output } = await withTracing(
      "tracefs",
      ["test", "--no-check", "--cached-only", "--allow-all", `tests/kernel/${file}`],
      program,
    );
    assert.equal(code, 0, output);
    assert.match(output, /^ok \| [1-9]\d* passed.* \| 0 failed/m);
  });
}

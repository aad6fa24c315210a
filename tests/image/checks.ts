/** What the image is, and what it does on a node. Run by `deno task test:image`, which builds it first. */
import assert from "node:assert/strict";
import settings from "../../deno.json" with { type: "json" };
import { PROFILES } from "../../src/profiles.ts";
import { LIBRARY_LICENSES } from "../../native/supply/licenses.ts";
import { pinnedDeno } from "../../native/supply/runtime.ts";
import { imageBom } from "../../native/supply/sbom.ts";
import { AgentProcess, ROOT, type Scrape } from "../agent/agent.ts";
import { parsed } from "../agent/doctor.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { capabilities, daemonSet, podOf } from "../manifests/manifests.ts";
import { imageConfig, imageFiles, ROOTFS } from "./image.ts";
import { AgentPod } from "./pod.ts";

const MEBIBYTE = 1 << 20;
/** `include/uapi/linux/capability.h` */
const CAPABILITY_BITS: Readonly<Record<string, bigint>> = { SYS_PTRACE: 19n, PERFMON: 38n, BPF: 39n };

/** One metric of each collector of the profile, and the cgroup controller that it needs. */
const METRICS: Readonly<Record<(typeof PROFILES.standard)[number], readonly [string, controller?: string]>> =
  {
    cpu_sched: ["kpod_cpu_runqueue_latency_seconds_count"],
    oom: ["kpod_mem_oom_kills_total"],
    tcp: ["kpod_net_tcp_bytes_sent_total"],
    page_faults: ["kpod_mem_major_page_faults_total"],
    interface: ["kpod_net_iface_rx_bytes_total"],
    filesystem: ["kpod_fs_capacity_bytes"],
    pressure: ["kpod_pressure_cpu_waiting_seconds_total"],
    cpu: ["kpod_cpu_usage_seconds_total"],
    disk: ["kpod_disk_read_bytes_total", "io"],
    memory: ["kpod_mem_usage_bytes", "memory"],
    pids: ["kpod_pids_current", "pids"],
  };

Deno.test("the image says what it is and how it is run", () => {
  const { config, history } = imageConfig();
  assert.deepEqual(config.Entrypoint, [
    ...["deno", "run", "--quiet", "--no-remote", "-P=agent", "--no-prompt", "mod.ts"],
  ]);
  assert.equal(config.Cmd, undefined);
  assert.equal(config.WorkingDir, "/app");
  assert.deepEqual(Object.keys(config.ExposedPorts), ["9090/tcp"]);
  assert.equal(config.Healthcheck, undefined, "that is the kubelet's business");
  const labels = Object.fromEntries(
    Object.entries(config.Labels).map((
      [name, value],
    ) => [name.replace("org.opencontainers.image.", ""), value]),
  );
  assert.equal(labels.title, "kpod-metrics");
  assert.equal(labels.version, settings.version);
  assert.match(labels.licenses ?? "", /^Apache-2\.0 AND /);
  assert.ok(labels.description);
  assert.doesNotMatch(JSON.stringify([config, history]), /CA_CERTS|https?:/, "settings of this machine");
});

Deno.test("nobody but root owns files of the image, and nobody may change the agent's", () => {
  for (const { path, info } of imageFiles()) {
    assert.deepEqual([info.uid, info.gid], [0, 0], path);
    if (info.isSymlink) continue;
    const mode = info.mode ?? 0;
    assert.equal(mode & 0o6022, 0, `${path} has mode ${mode.toString(8)}`);
    assert.equal(mode & 0o444, 0o444, `not everybody can read ${path}`);
    if (/^\/(?:app|deno)(?:\/|$)/.test(path)) {
      assert.equal(mode & 0o222, 0, `${path} has mode ${mode.toString(8)}`);
    }
  }
});

Deno.test("the one program in the image is Deno: no shell, no compiler, no npm", () => {
  const files = imageFiles().filter(({ info }) => !info.isDirectory);
  const programs = files.filter(({ path, info }) =>
    info.isFile && ((info.mode ?? 0) & 0o111) !== 0 && !/\.so\.\d+$/.test(path)
  );
  assert.deepEqual(programs.map(({ path }) => path), ["/usr/local/bin/deno"]);
  const names = new Set(files.map(({ path }) => path.split("/").at(-1)));
  for (const name of ["sh", "bash", "busybox", "npm", "node", "gcc", "clang", "apt", "dpkg"]) {
    assert.ok(!names.has(name), name);
  }
});

Deno.test("the image has the agent's packages and no others, for its architecture alone", () => {
  const packages = [...Deno.readDirSync(`${ROOTFS}/app/node_modules`)].map(({ name }) => name);
  assert.deepEqual(
    packages.filter((name) => !name.startsWith(".")).sort(),
    ["js-yaml", "koffi", "prom-client", "zod"],
  );
  const stored = [...Deno.readDirSync(`${ROOTFS}/app/node_modules/.deno`)].map(({ name }) => name)
    .filter((name) => name.includes("@")).map((name) => name.replace(/@[^@]*$/, "")).sort();
  const architecture = { amd64: "x64", arm64: "arm64" }[imageConfig().architecture];
  assert.deepEqual(stored, [
    ...[`@koromix+koffi-linux-${architecture}`, "@opentelemetry+api", "argparse", "bintrees", "js-yaml"],
    ...["koffi", "prom-client", "tdigest", "zod"],
  ]);
  const libraries = imageFiles().filter(({ path }) => path.endsWith(".node"));
  assert.equal(libraries.length, 1, libraries.map(({ path }) => path).join());
  const tests = imageFiles().filter(({ path }) => /^\/app\/(?:tests|docs|manifests)\b/.test(path));
  assert.equal(tests.length, 0, tests.join());
});

Deno.test("every library of the image comes with its package's copyright and version", () => {
  const names = (directory: string) => [...Deno.readDirSync(`${ROOTFS}${directory}`)].map(({ name }) => name);
  const documented = names("/usr/share/doc").filter((name) => name !== "deno" && name !== "kpod-metrics");
  assert.deepEqual(documented.sort(), names("/var/lib/dpkg/status.d").sort());
  for (const name of ["libc6", "libbpf1", "libcrypt1", "libelf1", "libgcc-s1", "libstdc++6", "zlib1g"]) {
    const status = Deno.readTextFileSync(`${ROOTFS}/var/lib/dpkg/status.d/${name}`);
    assert.match(status, new RegExp(`^Package: ${RegExp.escape(name)}\n[^]*^Version: \\d`, "m"));
  }
});

/** What the packages' copyright files say of the libraries. */
const GCC_EXCEPTION = "\\(v3 or later\\) with version 3\\.1 of the GCC\nRuntime Library Exception[^]*?^ - ";
const COPYRIGHTS: Readonly<Record<string, RegExp>> = {
  libbpf1: /^Files: +\*\n[^]+?^License: +LGPL-2\.1 or BSD-2-Clause$/m,
  libc6:
    /Lesser General Public\s+License as published by the Free\s+Software Foundation; either\s+version 2\.1/,
  libcrypt1: /Lesser General Public\s+License,\s+version\s+2\.1\s+\(or,\s+at\s+your\s+option,\s+any\s+later/,
  libelf1: /^Files: backends\/\*\n(?: .+\n)*? +lib\*\n[^]+?^License: LGPL-3\+ or GPL-2\+$/m,
  "libgcc-s1": RegExp(`${GCC_EXCEPTION}libgcc `, "m"),
  "libstdc++6": RegExp(`${GCC_EXCEPTION}libstdc\\+\\+-v3$`, "m"),
  zlib1g: /^Files: \*\n[^]+?^License: Zlib$/m,
};

Deno.test("each library's licence that is named is the one that its copyright file states", () => {
  assert.deepEqual(
    Object.keys(LIBRARY_LICENSES),
    [...Deno.readDirSync(`${ROOTFS}/var/lib/dpkg/status.d`)].map(({ name }) => name).sort(),
  );
  for (const name of Object.keys(LIBRARY_LICENSES)) {
    const text = Deno.readTextFileSync(`${ROOTFS}/usr/share/doc/${name}/copyright`);
    assert.match(text, COPYRIGHTS[name] ?? assert.fail(name));
  }
});

Deno.test("the image's bill of materials can be written, and has the runtime that was asked for", () => {
  const { components } = imageBom(ROOTFS);
  const names = components.map(({ name }) => name);
  for (const name of ["koffi", "prom-client", "zod", ...Object.keys(LIBRARY_LICENSES)]) {
    assert.ok(names.includes(name), name);
  }
  assert.equal(components.find(({ name }) => name === "deno")?.version, pinnedDeno(ROOT));
});

/** Paths of files that a container has and the image has not, or not so. */
function written(root: string): string[] {
  const before = new Map(imageFiles().map(({ path, info }) => [path, info]));
  return imageFiles(root).filter(({ path, info }) => {
    const old = before.get(path);
    // Directories to mount at are the runtime's doing.
    if (old === undefined) return !info.isDirectory;
    return !info.isDirectory && (old.size !== info.size || old.mtime?.getTime() !== info.mtime?.getTime());
  }).map(({ path }) => path);
}

Deno.test("a start compiles nothing and asks no registry", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await AgentPod.create(node);
  // In a root that it may write to, it would leave there what it has compiled or asked for.
  await using container = await pod.start({
    args: ["--version"],
    securityContext: { readOnlyRootFilesystem: false, capabilities: { add: ["DAC_OVERRIDE"] } },
  });
  assert.deepEqual(await container.result(), {
    code: 0,
    output: `kpod-metrics ${settings.version}\n`,
    errors: "",
  });
  const files = written(container.root);
  assert.ok(files.some((path) => path.startsWith("/deno/v8_code_cache")), "it could not write");
  const expected = /^\/deno\/(?:node_compat_bin\/node|\w+_cache_v\d+(?:-wal|-shm)?)$/;
  assert.deepEqual(files.filter((path) => !expected.test(path)), []);
});

Deno.test(
  "the init container hands on the kubelet's certificate, and cannot read its key",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const pod = await AgentPod.create(node);
    const { code, output, errors } = await pod.copyCertificate();
    assert.deepEqual([code, errors], [0, ""]);
    assert.match(output, /\/kubelet\.crt: copied/);
    const key = await pod.copyCertificate({
      args: ['Deno.readTextFileSync("/host/kubelet-pki/kubelet.key")'],
    });
    assert.equal(key.code, 1);
    assert.match(key.errors, /PermissionDenied: Permission denied/);
  },
);

Deno.test("the preflight in the agent's container finds nothing that fails", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await AgentPod.create(node);
  await pod.copyCertificate();
  const { code, output, errors } = await pod.run({
    command: ["deno", "run", "--no-remote", "-P=agent", "mod.ts", "doctor", "--json"],
  });
  const findings = [...parsed(output).values()];
  assert.deepEqual(findings.filter(({ status }) => status === "fail"), []);
  assert.equal(code, 0, errors);
});

Deno.test("the DaemonSet's pod serves every collector of its profile with the privileges it asks for", {
  ...needsPrograms,
}, async () => {
  await using node = await LabNode.start();
  const [web, peer] = [
    await node.addPod({ name: "web", ownNetwork: true }),
    await node.addPod({ name: "peer", ownNetwork: true }),
  ];
  const [address] = await node.link(web, peer);
  const server = await node.run(web.container(), ["tcp-server", address, "0"]);
  const client = await node.run(peer.container(), ["tcp-client", address, String(server.port)]);
  const pod = await AgentPod.create(node);
  assert.equal((await pod.copyCertificate()).code, 0);
  await using container = await pod.start();
  await using agent = await AgentProcess.listening(container.process);
  await agent.untilReady();
  await client.go(MEBIBYTE);
  const scrape = await agent.fresh();
  assertCollectors(scrape, Deno.readTextFileSync(`${node.root}/cgroup.controllers`).trim().split(" "));
  assert.equal(
    scrape.sum("kpod_net_tcp_bytes_received_total", { namespace: "default", pod: "web" }),
    MEBIBYTE,
  );
  assertPrivileges(pod.status());

  const grace = podOf(daemonSet()).terminationGracePeriodSeconds ?? 30;
  const deadline = setTimeout(() => agent.kill("SIGKILL"), grace * 1_000);
  agent.kill("SIGTERM");
  const { code, log } = await agent.ended;
  clearTimeout(deadline);
  assert.equal(code, 0, log);
  assert.match(log, /"message":"stopped"\}\n$/);
  assert.deepEqual(log.split("\n").filter((line) => /"level":"(?:warn|error)"/.test(line)), []);
  assert.deepEqual(written(container.root), []);
});

function assertCollectors(scrape: Scrape, controllers: readonly string[]): void {
  for (const collector of PROFILES.standard) {
    assert.equal(scrape.sum("kpod_collector_up", { collector }), 1, collector);
    const [metric, controller] = METRICS[collector];
    const series = scrape.find(metric, { namespace: "default", pod: "web" });
    if (controller === undefined || controllers.includes(controller)) {
      assert.ok(series.length > 0, `no ${metric} of ${collector}`);
    } else {
      assert.equal(series.length, 0, `${metric} without the controller ${controller}`);
    }
  }
  assert.deepEqual(scrape.find("kpod_bpf_program_info", { state: "unavailable" }), []);
}

/** User 0 with just the capabilities of the manifest, none of which a program that it starts could add to. */
function assertPrivileges(status: ReadonlyMap<string, string>): void {
  const mask = capabilities().reduce((sum, name) => sum | 1n << (CAPABILITY_BITS[name] ?? 0n), 0n);
  const expected = { CapInh: 0n, CapPrm: mask, CapEff: mask, CapBnd: mask, CapAmb: 0n };
  for (const [set, bits] of Object.entries(expected)) assert.equal(BigInt(`0x${status.get(set)}`), bits, set);
  assert.equal(status.get("Uid"), "0\t0\t0\t0");
  assert.equal(status.get("NoNewPrivs"), "1");
  assert.equal(status.get("Seccomp"), "2", "filtered");
}

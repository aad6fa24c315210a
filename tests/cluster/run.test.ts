/** The cluster test's course, with a machine and a cluster that only answer: what is run, in which order, and what is left. */
import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { PROFILES } from "../../src/profiles.ts";
import { AGENT } from "./checks.ts";
import { Interrupted, NOT_FOUND, type Outcome, type Run } from "../commands.ts";
import { exposition } from "./fake_exposition.ts";
import { Report } from "./report.ts";
import { readFlags, runTest } from "./run.ts";
import { STRESS } from "./steps.ts";

const OK = (stdout = ""): Outcome => ({ code: 0, stdout, stderr: "" });
const FAILED = (stderr: string): Outcome => ({ code: 1, stdout: "", stderr });

const NODES = ["one", "two"];
const PERMISSIONS = "Resources    Non-Resource URLs   Resource Names   Verbs\n" +
  "nodes/pods   []                  []               [get]\n";

/** A machine with everything on it, whose cluster is as it should be but for what `differs`. */
class FakeWorld {
  /** Every command line, in order. */
  readonly commands: string[] = [];
  readonly lines: string[] = [];
  /** Milliseconds. */
  clock = 0;
  readonly #differs: (command: string) => Outcome | undefined;
  #profile: keyof typeof PROFILES = "standard";

  constructor(differs: (command: string) => Outcome | undefined = () => undefined) {
    this.#differs = differs;
  }

  /** Runs the test; returns its exit code. */
  async test(...args: string[]): Promise<number> {
    const run: Run = (program, args) => {
      const command = [program, ...args].join(" ").replace(/^env \S+ /, "");
      this.commands.push(command);
      return Promise.resolve(this.#differs(command) ?? this.#answer(command));
    };
    return await runTest(readFlags(args), {
      run,
      runFinally: run,
      report: new Report((text) => void this.lines.push(text)),
      directory: "/own",
      now: () => this.clock,
      pause: (milliseconds) => {
        this.clock += milliseconds;
        return Promise.resolve();
      },
    });
  }

  /** The commands that match, without what a namespace adds to them. */
  ran(pattern: RegExp): string[] {
    return this.commands.filter((command) => pattern.test(command));
  }

  #answer(command: string): Outcome {
    const [, pod = ""] = /pods\/agent-(\w+):9090/.exec(command) ?? [];
    if (command === "kind get clusters") return OK("kind\n");
    if (command.startsWith("kubectl version --output")) {
      return OK(JSON.stringify({ serverVersion: { major: "1", minor: "34" } }));
    }
    if (command.includes("get pods") && command.includes("json")) {
      return OK(JSON.stringify({ items: podItems() }));
    }
    if (command.includes("get nodes")) {
      return OK(JSON.stringify({ items: NODES.map((name) => ({ metadata: { name } })) }));
    }
    if (command.includes("can-i")) return OK(PERMISSIONS);
    if (command.endsWith("/proxy/metrics")) return OK(exposition(pod, PROFILES[this.#profile as "standard"]));
    if (command.includes("--patch")) this.#profile = "comprehensive";
    if (command.includes(" exec ")) return OK('[{"check":"kubelet certificate","status":"ok"}]');
    return OK();
  }
}

function podItems(restartCount = 0) {
  return NODES.map((nodeName) => ({
    metadata: { name: `agent-${nodeName}` },
    spec: { nodeName },
    status: {
      conditions: [{ type: "Ready", status: "True" }],
      containerStatuses: [{ name: "kpod-metrics", restartCount }],
    },
  }));
}

Deno.test("where all is well it installs, checks both profiles and removes the cluster, and ends with 0", async () => {
  const world = new FakeWorld();
  assert.equal(await world.test(), 0, world.lines.join("\n"));
  const steps = [
    /^docker build --tag localhost\/kpod-metrics:\d\S+ \/\S+$/,
    /^kind create cluster --name kpod-metrics-test /,
    /^docker save --output \/own\/image\.tar localhost\/kpod-metrics:/,
    /^kind load image-archive \/own\/image\.tar --name kpod-metrics-test$/,
    /^kubectl apply -f \S+\/manifests$/,
    /set image daemonset\/kpod-metrics \*=localhost\/kpod-metrics:\d/,
    /^kubectl apply -f \S+\/manifests\/stress$/,
    /rollout status/,
    /can-i --list --as system:serviceaccount:kpod-metrics:kpod-metrics$/,
    /^kubectl get --raw .*agent-one:9090\/proxy\/metrics$/,
    /patch configmap kpod-metrics .*"KPOD_PROFILE":"comprehensive"/,
    /rollout restart daemonset\/kpod-metrics$/,
    /^kind delete cluster --name kpod-metrics-test$/,
  ];
  const places = steps.map((step) => world.commands.findIndex((command) => step.test(command)));
  assert.deepEqual(places, places.toSorted((one, other) => one - other), `${places}`);
  assert.ok(!places.includes(-1), `${places}`);
  assert.equal(world.commands.at(-1), "kind delete cluster --name kpod-metrics-test");
  assert.deepEqual(world.lines.filter((line) => line.startsWith("✗")), []);
  assert.match(world.lines.at(-1) ?? "", /^2\d steps passed, 0 failed$/);
});

Deno.test("what goes wrong on the way fails the test, and the cluster is removed all the same", async () => {
  for (
    const [command, outcome, said] of [
      [/^kind create/, FAILED("no space left"), /"env .*kind create.*" ended with 1:\n *no space left/],
      [/^docker save/, FAILED("no space left"), /no space left/],
      [/^kind load/, FAILED("no such node"), /no such node/],
      [
        /^kubectl version --out/,
        OK('{"serverVersion":{"major":"1","minor":"32"}}'),
        /has 1\.32, and manifests/,
      ],
      [/apply/, FAILED("forbidden"), /forbidden/],
      [/rollout status/, FAILED("timed out waiting"), /timed out waiting/],
      [/can-i/, OK(PERMISSIONS.replace("pods ", "proxy")), /the agent may \[get\] nodes\/proxy/],
      [/get pods .*json/, OK(JSON.stringify({ items: podItems(1) })), /was restarted 1 times/],
      [/proxy\/readyz/, FAILED("ServiceUnavailable"), /one: \/readyz: ServiceUnavailable/],
      [/proxy\/metrics/, OK(exposition("one", ["cpu_sched"])), /collector tcp is not up/],
      [/ exec /, OK('[{"check":"kubelet certificate","status":"fail"}]'), /fail kubelet certificate/],
      [/ exec /, FAILED("no such container"), /Cannot run the preflight in agent-one: no such container/],
      [/ logs agent-/, OK('{"level":"warn","message":"cycle is not complete"}\n'), /cycle is not complete/],
    ] as const
  ) {
    const world = new FakeWorld((given) => command.test(given) ? outcome : undefined);
    assert.equal(await world.test(), 1, `${command}`);
    assert.match(world.lines.join("\n"), said, `${command}`);
    assert.equal(world.commands.at(-1), "kind delete cluster --name kpod-metrics-test", `${command}`);
    assert.match(world.lines.at(-1) ?? "", /[1-9]\d* failed$/);
  }
});

Deno.test("failing agents are shown: their state, their events and their logs", async () => {
  const world = new FakeWorld((command) =>
    / logs --selector .*--prefix/.test(command)
      ? OK("[agent-one] {}\n")
      : command.includes("rollout status")
      ? FAILED("timed out")
      : undefined
  );
  assert.equal(await world.test(), 1);
  assert.equal(world.ran(/describe pods/).length, 1);
  assert.equal(world.ran(/logs --selector .* --previous/).length, 1);
  assert.match(world.lines.join("\n"), /--- logs\n {4}\[agent-one\] \{\}/);
});

Deno.test("a scrape that is slow each time fails the test, one that is quick once does not", async () => {
  for (const [slow, code] of [[5, 1], [4, 0]] as const) {
    let scrapes = 0;
    const world: FakeWorld = new FakeWorld((command) => {
      if (command.endsWith("agent-two:9090/proxy/metrics")) world.clock += scrapes++ % 5 < slow ? 1_500 : 100;
      return undefined;
    });
    assert.equal(await world.test(), code, world.lines.join("\n"));
    if (code === 1) assert.match(world.lines.join("\n"), /two: the best of 5 scrapes took 1500 ms/);
  }
});

Deno.test("what is not so at once, or cannot be asked at once, is waited for", async () => {
  let [scrapes, questions] = [0, 0];
  const world = new FakeWorld((command) => {
    if (command.endsWith("/proxy/metrics") && scrapes++ === 0) return FAILED("connection refused");
    if (command.endsWith("/proxy/readyz") && questions++ < 3) return FAILED("ServiceUnavailable");
    return undefined;
  });
  assert.equal(await world.test(), 0, world.lines.join("\n"));
  assert.ok(world.clock > 0 && world.clock < 60_000, `${world.clock}`);
});

Deno.test("where it cannot run nothing is begun, and it ends with 3", async () => {
  const missing = { code: NOT_FOUND, stdout: "", stderr: "not installed" };
  for (
    const [command, outcome, said] of [
      [/^kubectl/, missing, /kubectl does not work here: not installed/],
      [/^(?:docker|podman)/, missing, /docker is not installed; podman is not installed/],
      [/^(?:kind|minikube)/, missing, /kind and minikube are not installed/],
      [/^kind get clusters/, OK("kind\nkpod-metrics-test\n"), /exists already.*kind delete cluster --name/],
    ] as const
  ) {
    const world = new FakeWorld((given) => command.test(given) ? outcome : undefined);
    assert.equal(await world.test(), 3, `${command}`);
    assert.match(world.lines.join("\n"), said);
    assert.match(world.lines.at(-1) ?? "", /^0 steps passed, 1 failed$/);
    assert.deepEqual(world.ran(/build|create|start|delete|apply/), [], `${command}`);
  }
});

Deno.test("an interruption ends the test with 130 wherever it comes, and leaves no cluster behind", async () => {
  const all = new FakeWorld();
  await all.test();
  const created = all.commands.findIndex((command) => command.startsWith("kind create"));
  for (const at of [0, 3, created, created + 1, created + 5, all.commands.length - 2]) {
    let count = 0;
    const world = new FakeWorld((command) => {
      if (count++ === at) throw new Interrupted();
      assert.ok(count <= at + 1 || command.startsWith("kind delete"), `${command} after the interruption`);
      return undefined;
    });
    assert.equal(await world.test(), 130, `${at}`);
    assert.equal(world.ran(/^kind delete/).length, at >= created ? 1 : 0, `${at}`);
    assert.match(world.lines.join("\n"), /✗ test: could not go on\n {4}interrupted/);
  }
});

Deno.test("a cluster that cannot be removed fails the test and is named", async () => {
  const world = new FakeWorld((command) => command.startsWith("kind delete") ? FAILED("in use") : undefined);
  assert.equal(await world.test(), 1);
  assert.match(
    world.lines.join("\n"),
    /✗ clean-up: run it yourself: kind delete cluster --name kpod-metrics-test\n {4}".*" ended with 1:\n {4}in use/,
  );
});

Deno.test("what is to be kept is kept, and how to remove it is said", async () => {
  const world = new FakeWorld();
  assert.equal(await world.test("--keep"), 0);
  assert.deepEqual(world.ran(/delete/), []);
  assert.match(world.lines.join("\n"), /--- kept\n {4}kind delete cluster --name kpod-metrics-test/);
});

Deno.test("minikube makes the cluster where it is asked for", async () => {
  const world = new FakeWorld();
  assert.equal(await world.test("--tool", "minikube"), 0, world.lines.join("\n"));
  assert.deepEqual(world.ran(/^kind/), []);
  assert.equal(
    world.ran(/^minikube start --profile kpod-metrics-test --driver docker .*--nodes 2/).length,
    1,
  );
  assert.equal(world.ran(/^minikube image load \/own\/image.tar --profile kpod-metrics-test$/).length, 1);
  assert.equal(world.commands.at(-1), "minikube delete --profile kpod-metrics-test");
  const taken = new FakeWorld((command) =>
    command.includes("profile list") ? OK('{"valid":[{"Name":"kpod-metrics-test"}]}') : undefined
  );
  assert.equal(await taken.test("--tool", "minikube"), 3);
  assert.deepEqual(taken.ran(/start|delete/), []);
});

const CURRENT = ["--use-current", "--yes", "--image", "registry.example/kpod-metrics:0.1.0"];

Deno.test("in the current cluster only what the test installed is removed", async () => {
  const world = new FakeWorld();
  assert.equal(await world.test(...CURRENT), 0, world.lines.join("\n"));
  assert.deepEqual(world.ran(/^(?:kind|minikube|docker|podman)/), []);
  assert.equal(
    world.ran(/set image daemonset\/kpod-metrics \*=registry\.example\/kpod-metrics:0\.1\.0$/).length,
    1,
  );
  assert.match(
    world.commands.at(-1) ?? "",
    /^kubectl delete -f \S+\/manifests\/stress -f \S+\/manifests --ignore-not-found --wait$/,
  );
  const taken = new FakeWorld((command) =>
    command.includes("get namespace") ? OK("kpod-metrics Active 5d\n") : undefined
  );
  assert.equal(await taken.test(...CURRENT), 3);
  assert.deepEqual(taken.ran(/apply|delete/), []);
});

Deno.test("flags that do not go together are refused with what to do", () => {
  for (
    const [args, said] of [
      [["--tool", "k3d"], /--tool: got k3d; use kind or minikube/],
      [["--use-current"], /add --yes to agree/],
      [["--use-current", "--yes"], /needs --image/],
      [[...CURRENT, "--tool", "kind"], /leave --tool out/],
      [["--yes"], /are for --use-current/],
      [["--image", "x"], /are for --use-current/],
      [["--what"], /Unknown option '--what'/],
      [["there"], /Unexpected argument 'there'/],
    ] as const
  ) assert.throws(() => readFlags(args), said, args.join(" "));
  assert.deepEqual(readFlags(["--tool", "kind", "--keep"]), {
    help: false,
    keep: true,
    tool: "kind",
    image: undefined,
  });
});

Deno.test("what the test asks the cluster for is what the manifests are called", async () => {
  const objects = async (path: string) =>
    parseAllDocuments(await Deno.readTextFile(new URL(`../../manifests/${path}`, import.meta.url)))
      .map((document) => document.toJS());
  const [namespace] = await objects("stress/00-namespace.yaml");
  assert.equal(namespace.metadata.name, STRESS);
  const [config] = await objects("20-config-map.yaml");
  assert.deepEqual([config.metadata.name, config.metadata.namespace], [AGENT, AGENT]);
  assert.equal(config.data.KPOD_PROFILE, "standard");
  const [daemonSet] = await objects("30-daemonset.yaml");
  const { template } = daemonSet.spec;
  assert.deepEqual([daemonSet.metadata.name, daemonSet.metadata.namespace], [AGENT, AGENT]);
  assert.equal(template.metadata.labels["app.kubernetes.io/name"], AGENT);
  assert.deepEqual([template.spec.serviceAccountName, template.spec.containers[0].name], [AGENT, AGENT]);
  // The image is only loaded, so it may not be pulled.
  for (const { imagePullPolicy } of [...template.spec.initContainers, ...template.spec.containers]) {
    assert.equal(imagePullPolicy, "IfNotPresent");
  }
});

Deno.test("the preflight is run as an operator is told to", async () => {
  const world = new FakeWorld();
  await world.test();
  const [command = ""] = world.ran(/ exec agent-one /);
  const install = await Deno.readTextFile(new URL("../../docs/install.md", import.meta.url));
  const preflight = command.slice(command.indexOf("-- ")).replace(" --json", "");
  assert.ok(install.includes(`kubectl -n kpod-metrics exec daemonset/kpod-metrics ${preflight}`), preflight);
});

/** What goes wrong with a kubelet costs new names while it lasts, and nothing else. */
import assert from "node:assert/strict";
import { needsPrograms } from "../kernel/requirements.ts";
import type { KubeletAnswer } from "../lab/kubelet.ts";
import type { Scrape } from "../agent/agent.ts";
import { FaultLab, logLines, makeCertificates, NAME } from "./fault_lab.ts";

interface Fault {
  readonly fault: string;
  readonly begin: (lab: FaultLab) => unknown;
  /** What the world does to end it; the agent is told nothing. */
  readonly end: (lab: FaultLab) => unknown;
  /** Of `kpod_discovery_errors_total`. */
  readonly reason: string;
  readonly message: RegExp;
}

const answering = (fault: string, answer: KubeletAnswer, reason: string, message: RegExp): Fault => ({
  fault,
  begin: (lab) => lab.kubelet.answer = answer,
  end: (lab) => lab.kubelet.answer = { kind: "pods" },
  reason,
  message,
});

const writing = (fault: string, file: "tokenFile" | "caFile", text: string, message: RegExp): Fault => {
  let before = "";
  return {
    fault,
    begin: async (lab) => {
      before = await Deno.readTextFile(lab[file]);
      await Deno.writeTextFile(lab[file], text);
    },
    end: (lab) => Deno.writeTextFile(lab[file], before),
    reason: "credentials",
    message,
  };
};

const status = (status: number, headers?: Record<string, string>): KubeletAnswer => ({
  kind: "status",
  status,
  ...headers === undefined ? {} : { headers },
});

const BIG = `{"kind":"PodList","items":["${"x".repeat(50 * 1024 * 1024)}"]}`;

const FAULTS: readonly Fault[] = [
  {
    fault: "refuses connections",
    begin: (lab) => lab.stopKubelet(),
    end: (lab) => lab.startKubelet(),
    reason: "connect",
    message: /ECONNREFUSED.*; check that a kubelet runs on this node and listens at KPOD_KUBELET_URL$/,
  },
  answering(
    "never answers",
    { kind: "hang" },
    "timeout",
    /no complete answer in 1000 ms; check .*_TIMEOUT_MS$/,
  ),
  answering("hangs after the headers", { kind: "stall" }, "timeout", /no complete answer in 1000 ms; /),
  answering(
    "answers no JSON",
    { kind: "text", text: "<html>" },
    "body",
    /not JSON, beginning "<html>"; check/,
  ),
  answering(
    "answers cut JSON",
    { kind: "text", text: '{"items":[' },
    "body",
    /not JSON, beginning "\{\\?"items/,
  ),
  answering(
    "answers other JSON",
    { kind: "text", text: "{}" },
    "body",
    /got no PodList but a JSON object/,
  ),
  answering("answers 50 MB", { kind: "text", text: BIG }, "body", /got a body of more than 16 MiB; check/),
  answering("answers 404", status(404), "http", /status 404 .*; check that KPOD_KUBELET_URL is a kubelet's/),
  answering(
    "answers 429",
    status(429, { "retry-after": "2" }),
    "http",
    /status 429 .*; it is asked less often/,
  ),
  answering("answers 500", status(500), "http", /status 500 .*; see the kubelet's log on this node$/),
  answering(
    "redirects",
    status(302, { location: "https://127.0.0.1/pods" }),
    "http",
    /status 302 .*; check that KPOD_KUBELET_URL is/,
  ),
  {
    fault: "knows another token, until the file has it",
    begin: (lab) => lab.kubelet.token = "rotated",
    end: (lab) => Deno.writeTextFile(lab.tokenFile, "rotated"),
    reason: "unauthorized",
    message:
      /status 401 .*; the kubelet did not accept the token in .*\/token: check that it is a service account/,
  },
  {
    fault: "forbids",
    begin: (lab) => Deno.writeTextFile(lab.tokenFile, `${lab.node.kubelet.token}-forbidden`),
    end: (lab) => Deno.writeTextFile(lab.tokenFile, lab.node.kubelet.token),
    reason: "forbidden",
    message: /status 403 .*; bind lab to a ClusterRole with the verb get on nodes\/pods$/,
  },
  {
    fault: "wants a token whose file is not there",
    begin: (lab) => Deno.rename(lab.tokenFile, `${lab.tokenFile}.away`),
    end: (lab) => Deno.rename(`${lab.tokenFile}.away`, lab.tokenFile),
    reason: "credentials",
    message: /\/token: got .*ENOENT.*; set KPOD_KUBELET_TOKEN_FILE to a file this process may read$/,
  },
  writing(
    "wants a token whose file is empty",
    "tokenFile",
    "",
    /got an empty file; set KPOD_KUBELET_TOKEN_FILE/,
  ),
  writing(
    "is to be told by an authority that is no PEM",
    "caFile",
    "?",
    /no such PEM block in it; set KPOD_.*CA/,
  ),
  {
    fault: "has another authority, until the file has it",
    begin: async (lab) => await lab.replaceKubelet(await makeCertificates(NAME)),
    end: (lab) => lab.replaceKubelet(),
    reason: "tls",
    message: /got a certificate .*; .*KPOD_KUBELET_CA_FILE/,
  },
  {
    fault: "has another name",
    begin: async (lab) => {
      const other = await makeCertificates("other-node");
      await Deno.writeTextFile(lab.caFile, other.ca);
      await lab.replaceKubelet(other);
    },
    end: async (lab) => {
      await Deno.writeTextFile(lab.caFile, lab.certificates.ca);
      await lab.replaceKubelet();
    },
    reason: "tls",
    message: /got a certificate .*other-node.*; .*KPOD_KUBELET_SERVER_NAME/,
  },
];

/** How many labs run at a time: most of what they do is to wait. */
const AT_A_TIME = 5;

const CONCURRENT = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };

Deno.test(
  "a fault of the kubelet's is told once, counted by its reason, loses no count, and is over by itself",
  { ...needsPrograms, ...CONCURRENT },
  async (t) => {
    const left = [...FAULTS];
    const next = async (): Promise<void> => {
      const fault = left.shift();
      if (fault === undefined) return;
      await t.step({ name: `a kubelet that ${fault.fault}`, fn: () => suffer(fault), ...CONCURRENT });
      return await next();
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, next));
  },
);

async function suffer({ begin, end, reason, message }: Fault): Promise<void> {
  await using lab = await FaultLab.start(reason === "timeout" ? { KPOD_KUBELET_TIMEOUT_MS: "1000" } : {});
  const { agent, node, container } = lab;
  const errors = (scrape: Scrape) => scrape.sum("kpod_discovery_errors_total", { reason });
  const answered = (scrape: Scrape) => scrape.sum("kpod_discovery_last_success_timestamp_seconds");
  await begin(lab);
  await agent.until("two polls have failed", (scrape) => errors(scrape) >= 2);
  await lab.work();
  await lab.assertCounted();
  await node.restartContainer(container);
  await lab.work();
  const failing = await agent.fresh();
  await end(lab);
  await agent.until("it is asked again", (scrape) => answered(scrape) > answered(failing) + 1);
  await lab.work();
  await lab.assertCounted();
  const after = await agent.fresh();
  assert.deepEqual(reasonsIn(after), [reason]);
  const lines = logLines(agent).filter(({ level }) => level !== "info");
  assert.deepEqual(lines.map(({ level, reason }) => [level, reason]), [["warn", reason]]);
  assert.match(lines[0]?.message ?? "", message);
  assert.ok(logLines(agent).some(({ message }) => message === "The kubelet answers, after failed polls"));
}

/** The reasons that any failed poll was counted by. */
function reasonsIn(scrape: Scrape): (string | undefined)[] {
  return scrape.find("kpod_discovery_errors_total").filter(({ value }) => value > 0)
    .map(({ labels }) => labels.find(([label]) => label === "reason")?.[1]);
}

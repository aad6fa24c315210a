/** The forge's workflows: they call tasks that exist, pin what they use and may do nothing but read. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DIRECTORY = `${ROOT}.github/workflows`;

interface Workflow {
  readonly permissions: Record<string, string>;
  readonly concurrency: { readonly group: string };
  readonly env: Record<string, string>;
  readonly jobs: Readonly<Record<string, Job>>;
}

interface Job {
  readonly "runs-on": string;
  readonly "timeout-minutes"?: number;
  readonly permissions?: unknown;
  readonly strategy?: { readonly matrix: { readonly runner: readonly string[] } };
  readonly steps: readonly {
    readonly uses?: string;
    readonly run?: string;
    readonly with?: Readonly<Record<string, unknown>>;
  }[];
}

const TASKS = Object.keys(JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`)).tasks);

const DOCKERFILE = Deno.readTextFileSync(`${ROOT}Dockerfile`);

const workflows = [...Deno.readDirSync(DIRECTORY)].map(({ name }) => ({
  name,
  workflow: parse(Deno.readTextFileSync(`${DIRECTORY}/${name}`), { strict: true }) as Workflow,
}));

Deno.test("there are workflows, and each is YAML with jobs and steps", () => {
  assert.ok(workflows.length > 0);
  for (const { name, workflow } of workflows) {
    assert.match(name, /\.yaml$/);
    for (const [job, { steps }] of Object.entries(workflow.jobs)) {
      assert.ok(steps.length > 0, `${name}: ${job}`);
    }
  }
});

for (const { name, workflow } of workflows) {
  const jobs = Object.entries(workflow.jobs);
  const steps = jobs.flatMap(([, job]) => job.steps);

  Deno.test(`${name} calls tasks that exist, one command a step`, () => {
    const called = steps.flatMap(({ run = "" }) =>
      [...run.matchAll(/\btask (\S+)/g)].map(([, task]) => task)
    );
    assert.ok(called.length > 0);
    for (const task of called) assert.ok(TASKS.includes(task ?? ""), `task ${task} is not in deno.json`);
    for (const { run = "" } of steps) assert.doesNotMatch(run, /[\n;|]|&&/, run);
  });

  Deno.test(`${name} pins what it runs on and with`, () => {
    for (const { uses } of steps) {
      if (uses !== undefined) assert.match(uses, /^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
    }
    for (const [job, { "runs-on": runner, strategy }] of jobs) {
      const runners = runner.startsWith("$" + "{{") ? strategy?.matrix.runner ?? [] : [runner];
      assert.ok(runners.length > 0, job);
      for (const each of runners) assert.match(each, /^ubuntu-\d\d\.\d\d(-arm)?$/, job);
    }
    const [, runtime] = /^ARG DENO_VERSION=(\d+\.\d+\.\d+)$/m.exec(DOCKERFILE) ?? [];
    assert.equal(workflow.env["DENO"], `deno@${runtime}`, "another version than the image's");
  });

  Deno.test(`${name} may only read, ends in time, and not twice for one branch`, () => {
    assert.deepEqual(workflow.permissions, { contents: "read" });
    assert.match(workflow.concurrency.group, /github\.ref/);
    for (const [job, { "timeout-minutes": minutes = 0, permissions }] of jobs) {
      assert.ok(minutes > 0 && minutes <= 240, job);
      assert.equal(permissions, undefined, job);
    }
    for (const { uses, with: given } of steps) {
      if (uses?.startsWith("actions/checkout@")) assert.equal(given?.["persist-credentials"], false);
    }
  });
}

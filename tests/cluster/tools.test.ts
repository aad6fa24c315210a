/** What the cluster test takes of what is installed, and what it says where something is missing. */
import assert from "node:assert/strict";
import { CannotRun, NOT_FOUND, type Run } from "../commands.ts";
import { chooseEngine, chooseTool, requireKubectl } from "./tools.ts";

/** A machine with these programs; an error is the last line of what one that does not work says. */
function machine(installed: Readonly<Record<string, "works" | string>>): Run {
  return (program) => {
    const state = installed[program];
    if (state === undefined) return Promise.resolve({ code: NOT_FOUND, stdout: "", stderr: "" });
    return Promise.resolve({
      code: state === "works" ? 0 : 1,
      stdout: "",
      stderr: state === "works" ? "" : `Client: 1\n${state}\n`,
    });
  };
}

Deno.test("docker is taken before podman, and one that does not work is passed over", async () => {
  const stopped = "Cannot connect to the Docker daemon";
  for (
    const [installed, engine] of [
      [{ docker: "works", podman: "works" }, "docker"],
      [{ podman: "works" }, "podman"],
      [{ docker: stopped, podman: "works" }, "podman"],
    ] as const
  ) assert.equal(await chooseEngine(machine(installed)), engine);
});

Deno.test("without an engine that works it says what each of them lacks", async () => {
  await assert.rejects(chooseEngine(machine({ docker: "Cannot connect to the Docker daemon" })), (error) => {
    assert.ok(error instanceof CannotRun);
    assert.match(error.message, /docker: Cannot connect to the Docker daemon; podman is not installed/);
    return true;
  });
});

Deno.test("kind is taken before minikube, unless one is asked for", async () => {
  const both = machine({ kind: "works", minikube: "works" });
  assert.equal(await chooseTool(both, undefined), "kind");
  assert.equal(await chooseTool(both, "minikube"), "minikube");
  assert.equal(await chooseTool(machine({ minikube: "works" }), undefined), "minikube");
});

Deno.test("a tool that is missing is named", async () => {
  const none = machine({});
  await assert.rejects(chooseTool(none, undefined), {
    name: "CannotRun",
    message: "kind and minikube are not installed",
  });
  await assert.rejects(chooseTool(machine({ kind: "works" }), "minikube"), {
    name: "CannotRun",
    message: "minikube is not installed",
  });
  await assert.rejects(requireKubectl(none), { name: "CannotRun", message: /^kubectl does not work here/ });
});

/**
 * `deno task test:image`: builds the container image over a stand-in for its base image, looks into it, and runs it
 * against a lab node as a node's container runtime would.
 */
import { fileURLToPath } from "node:url";
import { ensureTools, IMAGE_TOOLS, LAB_TOOLS } from "../../native/tools.ts";
import { LabNode } from "../lab/node.ts";
import { buildImage } from "./build.ts";
import { stopping } from "./commands.ts";
import { removeContainers } from "./container.ts";
import { IMAGE_DIRECTORY, imageFiles, imageManifest } from "./image.ts";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => stopping.abort());
}
Deno.exit(await main());

async function main(): Promise<number> {
  if (Deno.uid() !== 0) {
    console.error("Cannot build and run the image: it needs mounts and cgroups; run this as root");
    return 1;
  }
  await ensureTools(LAB_TOOLS, IMAGE_TOOLS);
  await removeContainers();
  const began = performance.now();
  try {
    await buildImage();
  } catch (error) {
    console.error(stopping.signal.aborted ? "stopped" : `${error instanceof Error ? error.message : error}`);
    return 1;
  }
  console.error(`built in ${((performance.now() - began) / 1_000).toFixed(0)} s; ${sizes()}`);
  console.error(`What makes the next build quick is in ${IMAGE_DIRECTORY}, which may be removed`);
  return await test();
}

function sizes(): string {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const unpacked = imageFiles().reduce((sum, { info }) => info.isFile ? sum + info.size : sum, 0);
  const packed = imageManifest().layers.map(({ size }) => size);
  return `the image has ${megabytes(unpacked)}, ${
    megabytes(packed.reduce((one, other) => one + other))
  } in a registry (layers of ${packed.map(megabytes).join(" and ")})`;
}

/** Named so that `deno task test`, which has no image, passes it over. */
async function test(): Promise<number> {
  const checks = fileURLToPath(new URL("checks.ts", import.meta.url));
  const tests = new Deno.Command(Deno.execPath(), { args: ["test", "--allow-all", ...Deno.args, checks] })
    .spawn();
  stopping.signal.addEventListener("abort", () => tests.kill("SIGKILL"));
  const { code } = await tests.status;
  if (stopping.signal.aborted) {
    // Its start removes what a killed lab left, and with the cgroups the containers in them.
    await (await LabNode.start()).stop();
    await removeContainers();
  }
  return code;
}

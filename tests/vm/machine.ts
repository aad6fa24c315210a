/** A virtual machine, with acceleration where this machine can lend it, and what it prints. */
import { linesOf } from "../lines.ts";
import type { Architecture } from "./kernels.ts";
import type { Emulator } from "./packages.ts";
import { BEGUN } from "./report.ts";

export interface Machine {
  readonly architecture: Architecture;
  readonly emulator: Emulator;
  readonly image: string;
  readonly initial: string;
  readonly base: string;
  readonly project: string;
}

/** A machine that stops before its script has begun is started again: that is the emulator's fault, not a test's. */
const ATTEMPTS = 4;
const BOOT_LIMIT_MS = 180_000;

/** One start of a machine. */
export interface Outcome {
  /** Whether the script has begun. */
  readonly begun: boolean;
  /** What it printed since. */
  readonly lines: readonly string[];
}

export interface RunOptions {
  /** For all that the script does. */
  readonly limitMs: number;
  readonly show: (line: string) => void;
  /** Stops the machine. */
  readonly signal: AbortSignal;
}

/** Starts a machine, and again if it does not come up. What has begun is not begun again. */
export async function runMachine(
  machine: Machine,
  options: RunOptions,
  start: (machine: Machine, options: RunOptions) => Promise<Outcome> = startMachine,
): Promise<Outcome> {
  for (let attempt = 1;; attempt++) {
    if (options.signal.aborted) return { begun: false, lines: [] };
    const outcome = await start(machine, options);
    if (outcome.begun || attempt === ATTEMPTS) return outcome;
    options.show(`the machine did not come up: starting it again (${attempt} of ${ATTEMPTS - 1})`);
  }
}

async function startMachine(machine: Machine, { limitMs, show, signal }: RunOptions): Promise<Outcome> {
  const [command, ...options] = machine.emulator;
  const emulator = new Deno.Command(command, {
    args: [...options, ...argumentsFor(machine)],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
    signal,
  }).spawn();
  const kill = () => {
    try {
      emulator.kill("SIGKILL");
    } catch {
      // It has ended.
    }
  };
  let begun = false;
  let timer = setTimeout(kill, BOOT_LIMIT_MS);
  const lines: string[] = [];
  for await (const raw of linesOf(emulator.stdout)) {
    const line = raw.replaceAll("\r", "");
    if (line === BEGUN) {
      begun = true;
      clearTimeout(timer);
      timer = setTimeout(kill, limitMs);
    } else if (begun) {
      lines.push(line);
      show(line);
    }
  }
  clearTimeout(timer);
  await emulator.status;
  return { begun, lines };
}

const MODELS: Readonly<Record<Architecture, { model: readonly string[]; serial: string }>> = {
  amd64: { model: ["-cpu", "max"], serial: "ttyS0" },
  // Pointers are authenticated by something cheaper than what the architecture names.
  arm64: { model: ["-machine", "virt", "-cpu", "max,pauth-impdef=on"], serial: "ttyAMA0" },
};

function argumentsFor({ architecture, image, initial, base, project }: Machine): string[] {
  const { model, serial } = MODELS[architecture];
  return [
    ...architecture === "amd64" && hasKvm() ? ["-accel", "kvm"] : ["-accel", "tcg,thread=multi"],
    ...model,
    ...["-smp", "2", "-m", "3072", "-nographic", "-no-reboot", "-nic", "none"],
    ...["-kernel", image, "-initrd", initial],
    ...["-append", `console=${serial} panic=-1 loglevel=3 cgroup_no_v1=all`],
    ...["-drive", `file=${base},if=virtio,format=raw,readonly=on`],
    // What a machine writes goes when it goes.
    ...["-drive", `file=${project},if=virtio,format=raw,snapshot=on`],
  ];
}

/** Whether the processor virtualizes; a machine that is virtual itself may have the device and not the means. */
function hasKvm(): boolean {
  try {
    Deno.openSync("/dev/kvm", { read: true, write: true }).close();
    return /^flags\s*:.*\b(?:vmx|svm)\b/m.test(Deno.readTextFileSync("/proc/cpuinfo"));
  } catch {
    return false;
  }
}

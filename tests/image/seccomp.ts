/** The default profile of container runtimes: which system calls a container may make. */

/** That of the package golang-github-containers-common, which comes with buildah. */
const PROFILE = "/usr/share/containers/seccomp.json";

/** What containerd's profile allows with these, and that of older versions of the package with CAP_SYS_ADMIN alone. */
const BY_CAPABILITY: Readonly<Record<string, string>> = { CAP_BPF: "bpf", CAP_PERFMON: "perf_event_open" };
/** Not in containerd's profile. */
const REFUSED = /^io_uring_/;

interface Condition {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
}

interface Rule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly unknown[] | null;
  readonly includes: Condition;
  readonly excludes: Condition;
}

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number;
  readonly archMap: readonly {
    readonly architecture: string;
    readonly subArchitectures: readonly string[];
  }[];
  readonly syscalls: readonly Rule[];
}

/** The profile for a container with these capabilities, as the OCI runtime specification has it. */
export function seccompOf(capabilities: readonly string[], architecture: string = Deno.build.arch) {
  const { defaultAction, defaultErrnoRet, archMap, syscalls }: Profile = JSON.parse(
    Deno.readTextFileSync(PROFILE),
  );
  const arch = architecture === "aarch64" ? "arm64" : "amd64";
  const special = Object.values(BY_CAPABILITY);
  const rules = syscalls
    .filter(({ includes, excludes }) =>
      (includes.arches?.includes(arch) ?? true) &&
      (includes.caps?.every((name) => capabilities.includes(name)) ?? true) &&
      !excludes.caps?.some((name) => capabilities.includes(name))
    )
    .map(({ names, action, errnoRet, args }) => ({
      names: names.filter((name) => !special.includes(name) && !REFUSED.test(name)),
      action,
      ...errnoRet === undefined ? {} : { errnoRet },
      ...args === null || args === undefined ? {} : { args },
    }))
    .filter(({ names }) => names.length > 0);
  const allowed = capabilities.flatMap((name) => BY_CAPABILITY[name] ?? []);
  return {
    defaultAction,
    defaultErrnoRet,
    architectures: archMap.filter((entry) => entry.architecture === `SCMP_ARCH_${architecture.toUpperCase()}`)
      .flatMap((entry) => [entry.architecture, ...entry.subArchitectures]),
    syscalls: allowed.length === 0 ? rules : [...rules, { names: allowed, action: "SCMP_ACT_ALLOW" }],
  };
}

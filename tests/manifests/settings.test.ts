import assert from "node:assert/strict";
import { ConfigError, type Facts, parseConfig } from "../../src/config.ts";
import { VARIABLES } from "../../src/config_variables.ts";
import { agentOf, certificateCopierOf, configMap, daemonSet, environment, podOf } from "./manifests.ts";

const FACTS: Facts = { arch: "x86_64", programDirectory: "/app/bpf", hostname: "pod" };

const DEFAULTS = new Map(
  Object.entries(VARIABLES).map(([name, variable]) => [
    name,
    // One made from others is left to be made.
    "default" in variable && typeof variable.default === "string" ? variable.default : "",
  ]),
);

Deno.test("the config map and the DaemonSet together are settings that the agent takes", () => {
  const config = parseConfig(environment(), FACTS);
  assert.equal(config.nodeName, "node-1");
  assert.equal(config.kubelet.url.href, "https://10.0.0.1:10250/");
  assert.deepEqual(config.kubelet.serverNames, ["10.0.0.1", "node-1"]);
  assert.deepEqual([config.procRoot, config.cgroupRoot, config.sysRoot], [
    "/host/proc",
    "/host/sys/fs/cgroup",
    "/sys",
  ]);
  assert.equal(config.listen.port, agentOf(daemonSet()).ports?.[0]?.containerPort);
});

Deno.test("a node with an IPv6 address is reached as well", () => {
  const config = parseConfig(environment(daemonSet(), {}, { name: "node-6", ip: "fd00::6" }), FACTS);
  assert.equal(config.kubelet.url.href, "https://[fd00::6]:10250/");
});

Deno.test("the config map has settings that there are, at their defaults", () => {
  const data = Object.entries(configMap().data ?? {});
  assert.ok(data.length > 0);
  for (const [name, value] of data) assert.equal(value, DEFAULTS.get(name), name);
});

Deno.test("the DaemonSet sets what the config map does not", () => {
  const own = (agentOf(daemonSet()).env ?? []).map(({ name }) => name);
  assert.deepEqual(own.filter((name) => name in (configMap().data ?? {})), []);
  for (const name of own) assert.ok(DEFAULTS.has(name), name);
});

Deno.test("a setting that there is not ends the agent with a line that names it", () => {
  const data = { ...configMap().data, KPOD_PROFLE: "minimal", KPOD_POLL_INTERVAL_MS: "10s" };
  assert.throws(
    () => parseConfig(environment(daemonSet(), data), FACTS),
    (error) =>
      error instanceof ConfigError &&
      /KPOD_PROFLE: no such variable; did you mean KPOD_PROFILE\?/.test(error.message) &&
      /KPOD_POLL_INTERVAL_MS: got "10s", takes a whole number of milliseconds/.test(error.message),
  );
});

Deno.test("roots and certificates are where something is mounted", () => {
  const mounts = (agentOf(daemonSet()).volumeMounts ?? []).map(({ mountPath }) => mountPath);
  const { procRoot, cgroupRoot, kubelet } = parseConfig(environment(), FACTS);
  for (const root of [procRoot, cgroupRoot]) assert.ok(mounts.includes(root), root);
  assert.deepEqual(kubelet.caFiles.map((file) => mounts.find((mount) => file.startsWith(`${mount}/`))), [
    "/var/run/secrets/kubernetes.io/serviceaccount",
    "/var/run/kpod-metrics",
  ]);
  const copied = certificateCopierOf(daemonSet()).volumeMounts?.find(({ readOnly }) => readOnly !== true);
  const seen = agentOf(daemonSet()).volumeMounts?.find(({ name }) => name === copied?.name);
  const from = `${copied?.mountPath}/`;
  const [, file] = certificateCopierOf(daemonSet()).args?.[0]?.match(RegExp(`"${from}([^"]+)"`)) ?? [];
  assert.equal(kubelet.caFiles[1], `${seen?.mountPath}/${file}`);
});

Deno.test("token and authority are where the agent looks for them by default", () => {
  const config = parseConfig({ ...environment(), KPOD_KUBELET_CA_FILE: "" }, FACTS);
  const volume = podOf(daemonSet()).volumes?.find(({ name }) => name === "service-account");
  const files = (volume?.projected?.sources ?? []).flatMap(({ serviceAccountToken, configMap }) => [
    ...serviceAccountToken === undefined ? [] : [serviceAccountToken.path],
    ...(configMap?.items ?? []).map(({ path }) => path),
  ]);
  const mount = agentOf(daemonSet()).volumeMounts?.find(({ name }) => name === "service-account")?.mountPath;
  assert.deepEqual(files.map((file) => `${mount}/${file}`), [
    config.kubelet.tokenFile,
    ...config.kubelet.caFiles,
  ]);
  const [authority] = volume?.projected?.sources?.flatMap(({ configMap }) => configMap ?? []) ?? [];
  // Kubernetes puts it into every namespace.
  assert.deepEqual([authority?.name, authority?.items?.map(({ key }) => key)], ["kube-root-ca.crt", [
    "ca.crt",
  ]]);
});

for (
  const { file, mode, copied, said } of [
    { file: "kubelet.crt", mode: 0o644, copied: ["kubelet.crt"], said: /copied for the agent to trust$/ },
    { file: "kubelet.crt", mode: 0o600, copied: [], said: /not copied, .*: Permission denied/ },
    { file: "kubelet.key", mode: 0o644, copied: [], said: /not copied, .*: No such file/ },
  ]
) {
  Deno.test(
    `of ${file} with mode ${mode.toString(8)} the init container copies ${copied.join() || "nothing"}`,
    {
      // It is to run as another user.
      ignore: Deno.uid() !== 0,
    },
    async () => {
      const directory = await Deno.makeTempDir({ prefix: "kpod-manifests-" });
      try {
        for (const path of [directory, `${directory}/pki`, `${directory}/to`]) {
          await Deno.mkdir(path, { recursive: true });
          await Deno.chmod(path, path.endsWith("to") ? 0o777 : 0o755);
        }
        // Where the runtime lies, another user may not be let in.
        const deno = `${directory}/deno`;
        await Deno.copyFile(Deno.execPath(), deno);
        await Deno.chmod(deno, 0o755);
        await Deno.writeTextFile(`${directory}/pki/${file}`, "PEM");
        await Deno.chmod(`${directory}/pki/${file}`, mode);

        const { command = [], args = [], securityContext, volumeMounts = [], workingDir } =
          certificateCopierOf(daemonSet());
        const [from, to] = volumeMounts.map(({ mountPath }) => mountPath);
        const script =
          args[0]?.replace(`"${from}/`, `"${directory}/pki/`).replace(`"${to}/`, `"${directory}/to/`) ?? "";
        const { stdout, stderr, success } = await new Deno.Command(deno, {
          args: [...command.slice(1), script],
          cwd: workingDir ?? assert.fail(),
          clearEnv: true,
          env: { NO_COLOR: "1" },
          uid: securityContext?.runAsUser ?? assert.fail(),
          gid: securityContext?.runAsGroup ?? assert.fail(),
        }).output();
        const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
        assert.deepEqual([errors, success, command[0]], ["", true, "deno"]);
        assert.match(text ?? "", said);
        assert.deepEqual([...Deno.readDirSync(`${directory}/to`)].map(({ name }) => name), copied);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  );
}

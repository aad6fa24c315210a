/** What is read of this process, of the kubelet's credentials, and which pods are reported. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createPodFilter } from "../../src/discovery/filter.ts";
import { readCredentials } from "../../src/discovery/kubelet_credentials.ts";
import { KubeletError } from "../../src/discovery/kubelet_error.ts";
import { processFamilies } from "../../src/metrics/process.ts";
import { hasCapability, lackingForPrograms } from "../../src/native/capabilities.ts";
import { anyText, property, u64 } from "./property.ts";

property(
  "a process's times are read whatever it is called",
  [fc.string({ unit: "binary", maxLength: 15 }), fc.nat(), fc.nat()],
  (name, user, system) => {
    const stat = `1 (${name}) S 1 1 1 0 -1 4194560 1 1 1 1 ${user} ${system} 0 0 20 0 1 0 77 4096 1 1\n`;
    const families = processFamilies({
      ...{ stat, status: "VmRSS:\t 52044 kB\n", limits: undefined, bootTimeSeconds: 1000, clockTicks: 100 },
    });
    const values = new Map(families.map(({ name, samples }) => [name, samples[0]?.value]));
    assert.equal(values.get("process_cpu_user_seconds_total"), user / 100);
    assert.equal(values.get("process_cpu_system_seconds_total"), system / 100);
    assert.equal(values.get("process_start_time_seconds"), 1000.77);
    assert.equal(values.get("process_virtual_memory_bytes"), 4096);
    assert.equal(values.get("process_resident_memory_bytes"), 52044 * 1024);
  },
);

property("a process has the capabilities whose bits are set", [u64], (bits) => {
  const status = `Name:\tx\nCapInh:\t0000000000000000\nCapEff:\t${bits.toString(16).padStart(16, "0")}\n`;
  assert.equal(hasCapability(status, "BPF"), (bits & 1n << 39n) !== 0n);
  assert.equal(hasCapability(status, "SYS_ADMIN"), (bits & 1n << 21n) !== 0n);
  const suffices = (bits & 1n << 21n) !== 0n || (bits >> 38n & 3n) === 3n;
  assert.equal(lackingForPrograms(status).length === 0, suffices);
});

const blocks = fc.array(fc.oneof(
  fc.constantFrom("CERTIFICATE", "PRIVATE KEY", "EC PRIVATE KEY").map((what) =>
    `-----BEGIN ${what}-----\nAAAA\n-----END ${what}-----\n`
  ),
  anyText,
)).map((parts) => parts.join(""));

property(
  "any files are credentials, or are refused by name and without what is in them",
  [blocks, fc.boolean()],
  (text, isToken) => {
    const read = () => new TextEncoder().encode(`${text}SECRET`);
    const files = isToken ? { tokenFile: "/t" } : { caFiles: ["/a"], certFile: "/c", keyFile: "/k" };
    try {
      const { token } = readCredentials(files, read);
      if (isToken) assert.match(token ?? "", /^[\x21-\x7e]+$/);
    } catch (error) {
      assert.ok(error instanceof KubeletError, String(error));
      assert.match(error.message, /\/[tack]\b/);
      assert.doesNotMatch(error.message, /SECRET/);
    }
  },
);

const namespace = fc.constantFrom("a", "b", "c");
const few = fc.uniqueArray(namespace);

property("the namespaces that are asked for come before those that are left out", [few, few, namespace], (
  namespaces,
  excludeNamespaces,
  namespace,
) => {
  const isReported = createPodFilter({ namespaces, excludeNamespaces, labelSelector: [] });
  const pod = { ...{ uid: "u", namespace, name: "p", labels: {}, hostNetwork: false }, containers: [] };
  const expected = namespaces.includes(namespace) ||
    namespaces.length === 0 && !excludeNamespaces.includes(namespace);
  assert.equal(isReported(pod), expected);
});

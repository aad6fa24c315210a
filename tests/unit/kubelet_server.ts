/** Kubelets to ask, on 127.0.0.1, and the asking. */
import assert from "node:assert/strict";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import {
  createKubeletClient,
  KubeletError,
  type KubeletOptions,
  type ReadFile,
} from "../../src/discovery/kubelet.ts";

let made: Readonly<Record<string, Uint8Array>> | undefined;

const VALID = ["20200101000000Z", "20490101000000Z"] as const;
const OVER = ["20200101000000Z", "20210101000000Z"] as const;
const EARLY = ["20480101000000Z", "20490101000000Z"] as const;

/** Authorities: `own` is such as a kubelet makes for the certificate it signs itself. */
const AUTHORITIES = [["ca", "ca"], ["other", "other"], ["own", "node1-ca@1700000000"]] as const;

/**
 * Name, authority, subject alternative names and validity; the server is node1 at 127.0.0.1, and a kubelet's
 * certificate mostly has no address.
 */
const LEAVES = [
  ["node1", "ca", "DNS:node1", VALID],
  ["ip", "ca", "IP:127.0.0.1", VALID],
  ["ip6", "ca", "IP:::1", VALID],
  ["moved", "ca", "DNS:node1,IP:10.0.0.9", VALID],
  ["renamed", "ca", "DNS:node1.example,IP:127.0.0.1", VALID],
  ["stranger", "ca", "DNS:node2,IP:10.0.0.9", VALID],
  ["stranger-ip", "ca", "IP:10.0.0.9", VALID],
  ["expired", "ca", "DNS:node1", OVER],
  ["early", "ca", "DNS:node1", EARLY],
  ["client", "ca", "DNS:node1,IP:127.0.0.1", VALID],
  ["kubelet", "own", "DNS:node1", VALID],
  ["kubelet-expired", "own", "DNS:node1", OVER],
] as const;

/** Certificates that are their own authority: with a name as some clouds make them, also by common name alone. */
const SELF_SIGNED = [
  ["self", ["-addext", "subjectAltName=DNS:node1"]],
  ["self-leaf", ["-addext", "subjectAltName=DNS:node1", "-addext", "basicConstraints=critical,CA:FALSE"]],
  ["self-cn", []],
  ["self-impostor", ["-addext", "subjectAltName=DNS:node1"]],
] as const;

const CA_CONFIG = `[ca]
default_ca=any
[any]
database=index
serial=serial
new_certs_dir=.
default_md=sha256
unique_subject=no
policy=policy
[policy]
commonName=supplied
`;

/**
 * Authorities and what they signed, each as `name.pem` and `name.key`. What `own` signed has it in the same file, as
 * kubelets write theirs.
 */
function makeCertificates(): Readonly<Record<string, Uint8Array>> {
  const dir = Deno.makeTempDirSync({ prefix: "kpod-test-certs-" });
  const openssl = (...args: string[]) => {
    const { success, stderr } = new Deno.Command("openssl", { args, cwd: dir, stdout: "null" }).outputSync();
    if (!success) throw new Error(`openssl ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  };
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const selfSigned = (name: string, subject: string, extensions: readonly string[]) => {
    const self = ["-x509", "-subj", `/CN=${subject}`, "-days", "2", ...extensions];
    openssl("req", ...ec, ...self, "-keyout", `${name}.key`, "-out", `${name}.pem`);
  };
  try {
    for (const [name, text] of [["config", CA_CONFIG], ["index", ""], ["serial", "01"]] as const) {
      Deno.writeTextFileSync(`${dir}/${name}`, text);
    }
    for (const [name, subject] of AUTHORITIES) selfSigned(name, subject, []);
    for (const [name, extensions] of SELF_SIGNED) selfSigned(name, "node1", extensions);
    for (const [name, ca, san, [from, to]] of LEAVES) {
      const use = name === "client" ? "clientAuth" : "serverAuth";
      Deno.writeTextFileSync(`${dir}/extensions`, `subjectAltName=${san}\nextendedKeyUsage=${use}\n`);
      openssl("req", ...ec, "-keyout", `${name}.key`, "-out", "csr", "-subj", `/CN=${name}@1700000000`);
      const signer = ["-config", "config", "-cert", `${ca}.pem`, "-keyfile", `${ca}.key`];
      const leaf = ["-in", "csr", "-extfile", "extensions", "-startdate", from, "-enddate", to];
      openssl("ca", "-batch", "-notext", ...signer, ...leaf, "-out", `${name}.pem`);
      if (ca !== "own") continue;
      Deno.writeTextFileSync(`${dir}/${name}.pem`, Deno.readTextFileSync(`${dir}/own.pem`), { append: true });
    }
    const files = [...Deno.readDirSync(dir)].filter(({ name }) => /\.(pem|key)$/.test(name));
    return Object.fromEntries(files.map(({ name }) => [name, Deno.readFileSync(`${dir}/${name}`)]));
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/** A file of `makeCertificates`. */
export function pem(name: string): Uint8Array {
  made ??= makeCertificates();
  const bytes = made[name];
  assert.ok(bytes, name);
  return bytes;
}

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;
type TlsOptions = { leaf?: string; requestCert?: boolean; host?: string };

/** What the servers answer when all is well. */
/** What a client returns for the list of `listPods`. */
export const LIST = { pods: [], malformed: [] };
export const answer = (status: number, body: string): Handler => (_, response) => {
  response.writeHead(status, { "content-type": "text/plain" });
  response.end(body);
};
export const listPods = answer(200, '{"kind":"PodList","items":[]}');

/** Listens on a free port until it is disposed of. */
export async function listen<Server extends net.Server>(server: Server, host = "127.0.0.1") {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    server,
    port: (server.address() as net.AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A server with a certificate of `makeCertificates`. */
export function serveTls(
  handler: Handler,
  { leaf = "node1", requestCert = false, host }: TlsOptions = {},
) {
  const server = https.createServer(
    { ...identity(leaf), ca: text("ca.pem"), requestCert },
    handler,
  );
  server.on("tlsClientError", () => {});
  return listen(server, host);
}

/** Key and certificate of a server. */
export function identity(leaf: string) {
  return { key: text(`${leaf}.key`), cert: text(`${leaf}.pem`) };
}

/** The text of a file of `makeCertificates`. */
export function text(name: string): string {
  return new TextDecoder().decode(pem(name));
}

export const servePlain = (handler: Handler) => listen(http.createServer(handler));

/** A server that says just these bytes, and then ends the connection unless it is to hang. */
export const serveBytes = (text: string, hang = false) =>
  listen(net.createServer((socket) => {
    socket.on("data", () => hang ? socket.write(text) : socket.end(text));
  }));

export const enc = new TextEncoder();

/** What files hold, or why they cannot be read. */
export type Files = Readonly<Record<string, Uint8Array | Error>>;

/** Reads files from memory. */
export function readFrom(files: Files): ReadFile {
  return (path) => {
    const bytes = files[path];
    if (bytes instanceof Error) throw bytes;
    if (bytes !== undefined) return bytes;
    throw Object.assign(new Error(`Cannot open ${path}: ENOENT (no such file or directory)`), {
      code: "ENOENT",
    });
  };
}

/** Every certificate there is, as files `ca`, `node1`, … */
const FILES = () => {
  made ??= makeCertificates();
  return Object.fromEntries(
    Object.entries(made).filter(([name]) => name.endsWith(".pem")).map((
      [name, pem],
    ) => [name.slice(0, -4), pem]),
  );
};

/** Asks a server on `port` with files `ca`, `token`, … from memory. */
export function ask(
  port: number,
  options: Partial<KubeletOptions> = {},
  files: Files = {},
  scheme = "https",
) {
  const all = { ...FILES(), token: enc.encode("t0ken\n"), ...files };
  const client = createKubeletClient({
    url: new URL(`${scheme}://127.0.0.1:${port}`),
    serverNames: ["127.0.0.1", "node1"],
    caFiles: ["ca"],
    timeoutMs: 5_000,
    ...options,
  }, readFrom(all));
  return client.fetchPods();
}

/** Requires a `KubeletError` of this reason, in its form, which says all of `says`. */
export async function failsWith(poll: Promise<unknown>, reason: string, ...says: RegExp[]) {
  await assert.rejects(poll, (error: unknown) => {
    assert.ok(error instanceof KubeletError, String(error));
    assert.equal(error.reason, reason, error.message);
    assert.match(error.message, /^Cannot [^;]+: got [^;]+; /);
    for (const text of says) assert.match(error.message, text);
    return true;
  });
}

/** Kubelets to ask, on 127.0.0.1, and the asking. */
import assert from "node:assert/strict";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { createKubeletClient, KubeletError, type KubeletOptions } from "../../src/discovery/kubelet.ts";

let made: Readonly<Record<string, Uint8Array>> | undefined;

/** Name, subject alternative name and days to live; a kubelet's certificate has its node's name and no address. */
const LEAVES = [
  ["node1", "DNS:node1", "2"],
  ["ip", "IP:127.0.0.1", "2"],
  ["expired", "DNS:node1", "-1"],
] as const;

/** A CA, another CA, and leaves of the first, each as `name.pem` and `name.key`. */
function makeCertificates(): Readonly<Record<string, Uint8Array>> {
  const dir = Deno.makeTempDirSync({ prefix: "kpod-test-certs-" });
  const openssl = (...args: string[]) => {
    const { success, stderr } = new Deno.Command("openssl", { args, cwd: dir, stdout: "null" }).outputSync();
    if (!success) throw new Error(`openssl ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  };
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  try {
    for (const ca of ["ca", "other"]) {
      const self = ["-x509", "-subj", `/CN=${ca}`, "-days", "2"];
      openssl("req", ...ec, ...self, "-keyout", `${ca}.key`, "-out", `${ca}.pem`);
    }
    for (const [name, san, days] of LEAVES) {
      Deno.writeTextFileSync(`${dir}/${name}.ext`, `subjectAltName=${san}\n`);
      openssl("req", ...ec, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
      const ca = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
      const leaf = ["-in", `${name}.csr`, "-extfile", `${name}.ext`, "-days", days, "-out", `${name}.pem`];
      openssl("x509", "-req", ...ca, ...leaf);
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
type TlsOptions = { leaf?: string; requestCert?: boolean };

/** What the servers answer when all is well. */
export const LIST = { kind: "PodList", items: [] };
export const answer = (status: number, body: string): Handler => (_, response) => {
  response.writeHead(status, { "content-type": "text/plain" });
  response.end(body);
};
export const listPods = answer(200, JSON.stringify(LIST));

async function listen(server: net.Server) {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A server with a certificate of `LEAVES`. */
export function serveTls(handler: Handler, { leaf = "node1", requestCert = false }: TlsOptions = {}) {
  const key = pem(`${leaf}.key`);
  const server = https.createServer(
    { key, cert: pem(`${leaf}.pem`), ca: pem("ca.pem"), requestCert } as https.ServerOptions,
    handler,
  );
  server.on("tlsClientError", () => {});
  return listen(server);
}

export const servePlain = (handler: Handler) => listen(http.createServer(handler));

/** A server that says just these bytes, and then ends the connection unless it is to hang. */
export const serveBytes = (text: string, hang = false) =>
  listen(net.createServer((socket) => {
    socket.on("data", () => hang ? socket.write(text) : socket.end(text));
  }));

export const enc = new TextEncoder();

/** Asks a server on `port` with files `ca`, `token`, … from memory. */
export function ask(
  port: number,
  options: Partial<KubeletOptions> = {},
  files: Record<string, Uint8Array> = {},
  scheme = "https",
) {
  const all: Record<string, Uint8Array> = {
    ca: pem("ca.pem"),
    other: pem("other.pem"),
    token: enc.encode("t0ken\n"),
    ...files,
  };
  const client = createKubeletClient({
    url: new URL(`${scheme}://127.0.0.1:${port}`),
    serverName: "node1",
    caFile: "ca",
    timeoutMs: 5_000,
    ...options,
  }, (path) => {
    const bytes = all[path];
    if (bytes === undefined) throw new Error("No such file or directory");
    return bytes;
  });
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

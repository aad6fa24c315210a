/** What the preflight says of the address to serve at. */
import assert from "node:assert/strict";
import { listenAddress } from "../../src/doctor/listen.ts";
import type { Logger } from "../../src/log.ts";
import { renderStatusPage } from "../../src/status_page.ts";
import { listenTls } from "../../src/web/tls_listener.ts";
import { WebGate } from "../../src/web/web_gate.ts";
import { Authority } from "../lab/authority.ts";
import { assertFinding } from "./doctor_files.ts";

function serve(body: string) {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response(body));
}

Deno.test("a free address is ok, and free again afterwards", async () => {
  const server = serve("");
  const { port } = server.addr;
  await server.shutdown();
  for (let time = 0; time < 2; time++) {
    assertFinding(await listenAddress({ hostname: "127.0.0.1", port }), [
      "ok",
      new RegExp(`^127.0.0.1:${port} is free$`),
    ]);
  }
});

Deno.test("an address that an agent has is a warning, for the preflight may run beside it", async () => {
  const page = renderStatusPage({
    version: "1",
    profile: "standard",
    kernel: "6.18",
    uptimeSeconds: 1,
    targets: 0,
    collectors: [],
    signals: [],
  }, []);
  await using server = serve(page);
  for (const hostname of ["127.0.0.1", "0.0.0.0"]) {
    const finding = await listenAddress({ hostname, port: server.addr.port });
    assertFinding(finding, ["warn", /taken by an agent that runs already$/, /KPOD_LISTEN_ADDRESS/]);
  }
});

Deno.test("an agent that asks for a password is known by its name", async () => {
  const { status, headers } = await new WebGate(
    { headers: {}, users: new Map([["alice", "a hash"]]) },
    () => Promise.resolve(false),
    { warn() {} } as unknown as Logger,
  ).admit(new Request("http://localhost/"), "127.0.0.1") ?? assert.fail("let in");
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("no", { status, headers }),
  );
  assertFinding(await listenAddress(server.addr), ["warn", /taken by an agent that runs already$/, /./]);
});

Deno.test("over TLS an agent is known by its certificate, even if it wants one itself", async () => {
  await using authority = await Authority.create();
  const [own, others] = [await authority.sign("own"), await authority.sign("others")];
  for (const clientAuth of ["NoClientCert", "RequireAndVerifyClientCert"] as const) {
    const listener = await listenTls({ hostname: "127.0.0.1", port: 0 }, () => assert.fail("asked"), {
      cert: own.certificate,
      key: own.key,
      clientCa: clientAuth === "NoClientCert" ? undefined : authority.certificate,
      clientAuth,
      clientNames: undefined,
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
    });
    const { port } = listener.address;
    for (const hostname of ["127.0.0.1", "0.0.0.0"]) {
      const finding = await listenAddress({ hostname, port }, own.certificate);
      assertFinding(finding, ["warn", /taken by an agent that runs already$/, /./]);
    }
    const finding = await listenAddress(listener.address, others.certificate);
    assertFinding(finding, ["fail", /in use by another program$/, /./]);
    await listener.shutdown();
  }
});

Deno.test("an address that anything else has is a failure", async () => {
  const mute = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = mute.accept().then((connection) => connection.close());
  const advice = /^set KPOD_LISTEN_ADDRESS to a free port, or stop/;
  assertFinding(await listenAddress(mute.addr), ["fail", /in use by another program$/, advice]);
  await accepted;
  mute.close();
  await using server = serve("<title>something else</title>");
  assertFinding(await listenAddress(server.addr), ["fail", /in use by another program$/, advice]);
});

Deno.test("an address of another host is a failure, shown as it is written", async () => {
  const advice = /^set KPOD_LISTEN_ADDRESS to an address of this host$/;
  assertFinding(await listenAddress({ hostname: "192.0.2.1", port: 9 }), [
    "fail",
    /^192\.0\.2\.1:9: /,
    advice,
  ]);
});

Deno.test({
  name: "an address that permissions do not name is a failure",
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    const finding = await listenAddress({ hostname: "::", port: 9 });
    assertFinding(finding, ["fail", /^\[::\]:9: /, /permissions in deno\.json/]);
    assert.doesNotMatch(finding.found, /\n/);
  },
});

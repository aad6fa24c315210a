/** What the preflight says of the address to serve at. */
import assert from "node:assert/strict";
import { listenAddress } from "../../src/doctor/listen.ts";
import { renderStatusPage } from "../../src/status_page.ts";
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

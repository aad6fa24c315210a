import assert from "node:assert/strict";
import { createLogger, LOG_LEVELS, type LogFormat, type LogLevel } from "../../src/log.ts";

const NOW = new Date("2030-01-02T03:04:05.678Z");

function recorder(level: LogLevel, format: LogFormat) {
  const lines: string[] = [];
  return { lines, log: createLogger(level, format, (line) => lines.push(line), () => NOW) };
}

for (const [lowest, level] of LOG_LEVELS.entries()) {
  Deno.test(`at level ${level} only ${LOG_LEVELS.slice(lowest).join(", ")} are written`, () => {
    const { lines, log } = recorder(level, "json");
    for (const at of LOG_LEVELS) log[at]("event");
    assert.deepEqual(lines.map((line) => JSON.parse(line).level), LOG_LEVELS.slice(lowest));
  });
}

Deno.test("a JSON line holds time, level, message and the fields that have a value", () => {
  const { lines, log } = recorder("debug", "json");
  log.warn("kubelet unreachable", { attempts: 3, url: 'https://n"1', cause: undefined, retry: true });
  assert.deepEqual(lines.map((line) => JSON.parse(line)), [{
    time: "2030-01-02T03:04:05.678Z",
    level: "warn",
    message: "kubelet unreachable",
    attempts: 3,
    url: 'https://n"1',
    retry: true,
  }]);
});

Deno.test("a text line quotes strings, so that a field stays on its line", () => {
  const { lines, log } = recorder("debug", "text");
  log.info("started", { port: 9090, note: "two\nlines", cause: undefined });
  log.error("stopped");
  assert.deepEqual(lines, [
    '2030-01-02T03:04:05.678Z INFO  started port=9090 note="two\\nlines"',
    "2030-01-02T03:04:05.678Z ERROR stopped",
  ]);
});

for (const format of ["json", "text"] as const) {
  Deno.test(`whatever is in it, an event in the format ${format} is one line`, () => {
    const { lines, log } = recorder("debug", format);
    const forged = 'a\r\n2030-01-02T03:04:05.678Z ERROR forged\n{"level":"error"}\u2028\u0085\x1b[2J\u009b2J';
    log.info(forged, { [format === "json" ? "name" : "pod"]: forged });
    assert.equal(lines.length, 1);
    assert.doesNotMatch(
      lines[0] ?? "",
      format === "json" ? /[\r\n]/ : /[\p{Cc}\u2028\u2029]/u,
    );
    if (format === "json") assert.deepEqual(JSON.parse(lines[0] ?? "").message, forged);
    else assert.match(lines[0] ?? "", /^\S+ INFO {2}a\\r\\n2030\S+ ERROR forged/);
  });
}

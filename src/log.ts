/** Structured log lines on standard error: one JSON object or one line of text an event. */

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = "json" | "text";

/** Facts that belong to a message, by name. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** What the rest of the agent logs to. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Returns a logger that drops what is below `level` and gives each finished line to `write`. */
export function createLogger(
  level: LogLevel,
  format: LogFormat,
  write: (line: string) => void = (line) => console.error(line),
  now: () => Date = () => new Date(),
): Logger {
  const lowest = LOG_LEVELS.indexOf(level);
  const log = (at: LogLevel) => (message: string, fields: LogFields = {}) => {
    if (LOG_LEVELS.indexOf(at) < lowest) return;
    const time = now().toISOString();
    write(
      format === "json"
        ? JSON.stringify({ time, level: at, message, ...fields })
        : printable(`${time} ${at.toUpperCase().padEnd(5)} ${message}${textFields(fields)}`),
    );
  };
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}

/** Control characters escaped: what comes from elsewhere begins no line, and tells a terminal nothing. */
function printable(line: string): string {
  return line.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    return escaped === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}` : escaped;
  });
}

function textFields(fields: LogFields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? JSON.stringify(value) : value}`)
    .join("");
}

/** The settings in words: all there are, and those in force. */

import type { Config } from "./config.ts";
import { variables } from "./config_variables.ts";

/** Returns the help's section on environment variables: lines without a newline at the end. */
export function helpText(): string {
  const entries = variables().map(([name, { description, field, default: standard }]) => {
    const shown = typeof standard === "object" ? standard.shown : standard;
    return [
      `  ${name}`,
      `      ${description}`,
      `      Takes ${field.description}.`,
      ...(shown === undefined ? [] : [`      Default: ${shown}`]),
    ].join("\n");
  });
  return `Environment variables (an empty value counts as unset):\n\n${entries.join("\n\n")}`;
}

/**
 * Returns the settings in force as lines of an environment file: defaults are commented as such, variables
 * without a value are commented out, and what is made of them follows as comments.
 */
export function describeConfig(config: Config): string {
  const { tracked, unavailable } = config.syscalls;
  return [
    ...config.settings.map(({ name, text, isDefault }) => {
      if (text === undefined) return `# ${name} is not set`;
      return `${name}=${text}${isDefault ? "  # default" : ""}`;
    }),
    `# collectors: ${config.collectors.join(", ")}`,
    `# system calls: ${tracked.map(({ name, number }) => `${name} (${number})`).join(", ") || "none"}`,
    ...(unavailable.length === 0 ? [] : [`# not on this architecture: ${unavailable.join(", ")}`]),
  ].join("\n");
}

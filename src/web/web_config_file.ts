/**
 * The web configuration file in force. It and the files it names are looked at again every few seconds, as secrets and
 * certificates are exchanged in place; what cannot be used then leaves the earlier in force.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import type { Logger } from "../log.ts";
import type { Family } from "../metrics/family.ts";
import { webFamilies } from "../metrics/self.ts";
import { parseWebConfig, type WebConfig } from "./web_config.ts";
import { WebConfigError, WebConfigProblems } from "./web_config_error.ts";
import { type ReadFile, readPems, type WebSettings, webSettings } from "./web_settings.ts";

const LOOK_AGAIN_MS = 5_000;

export interface WebConfigFileOptions {
  readonly path: string;
  readonly readFile: ReadFile;
  readonly log: Logger;
  /** @default Date.now */
  readonly now?: () => number;
}

/** The files as they were read together. */
interface Reading {
  /** The same as long as they are. */
  readonly seen: string;
  /** @throws {WebConfigProblems} if they cannot be used. */
  readonly settings: () => WebSettings;
}

export class WebConfigFile {
  readonly #options: WebConfigFileOptions;
  readonly #now: () => number;
  #settings: WebSettings;
  /** What was last made of the file's text. */
  #parsed: { readonly text: string; readonly config: WebConfig } | undefined;
  /** Of the files as they were last: what has been said of them is not said again. */
  #seen: string;
  #loadedAt: number;
  #lastSucceeded = true;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @throws {WebConfigError} if the file cannot be used. */
  constructor(options: WebConfigFileOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const { seen, settings } = this.#read();
    try {
      this.#settings = settings();
    } catch (error) {
      throw new WebConfigError(options.path, problemsOf(error));
    }
    this.#seen = seen;
    this.#loadedAt = this.#now();
  }

  /** What is in force. */
  get settings(): WebSettings {
    return this.#settings;
  }

  /** Looks again every few seconds, and hands over what is new when it can be used. */
  start(onChange: (settings: WebSettings) => void): void {
    this.#timer = setInterval(() => this.look(onChange), LOOK_AGAIN_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks once. What is wrong is logged, once; so is what `onChange` throws, and then the earlier stays in force. */
  look(onChange: (settings: WebSettings) => void): void {
    const { path: file, log } = this.#options;
    const reading = this.#read();
    if (reading.seen === this.#seen) return;
    this.#seen = reading.seen;
    try {
      const settings = this.#following(reading.settings());
      onChange(settings);
      this.#settings = settings;
      this.#loadedAt = this.#now();
      this.#lastSucceeded = true;
      log.info("the web configuration was read anew", { file });
    } catch (error) {
      this.#lastSucceeded = false;
      const problems = problemsOf(error).join("; ");
      log.error("cannot use the new web configuration; the earlier stays in force", { file, problems });
    }
  }

  families(): Family[] {
    return webFamilies({ lastSucceeded: this.#lastSucceeded, loadedAt: this.#loadedAt });
  }

  /** The listener is one for TLS or one for plain HTTP as long as it lives. */
  #following(settings: WebSettings): WebSettings {
    const [had, has] = [this.#settings.tls, settings.tls].map((tls) => tls !== undefined);
    if (had === has) return settings;
    throw new WebConfigProblems([
      `tls_server_config: ${has ? "came" : "went"} while the agent runs; restart it to have that`,
    ]);
  }

  #read(): Reading {
    const { path, readFile } = this.#options;
    try {
      const text = new TextDecoder().decode(readFile(path));
      const config = this.#parsed?.text === text ? this.#parsed.config : parseWebConfig(text);
      this.#parsed = { text, config };
      const pems = readPems(config.tls, dirname(path), readFile);
      return { seen: digest([text, pems]), settings: () => webSettings(config, pems) };
    } catch (error) {
      const settings = () => {
        throw error;
      };
      return { seen: digest(problemsOf(error)), settings };
    }
  }
}

function problemsOf(error: unknown): readonly string[] {
  if (error instanceof WebConfigProblems) return error.problems;
  return [error instanceof Error ? error.message : String(error)];
}

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

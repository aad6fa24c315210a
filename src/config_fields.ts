/** How the text of an environment variable is read. A field's description says what it takes. */

import { isIP, isIPv4, isIPv6 } from "node:net";
import { z } from "zod";
import { type LabelSelector, LabelSelectorError, parseLabelSelector } from "./discovery/label_selector.ts";
import { nearest } from "./nearest.ts";

/** Reads the text of one variable. */
export type Field<Value = unknown> = z.ZodType<Value, string | undefined>;

/** A whole number of `unit`, both ends included. */
export function wholeNumber(unit: string, from: number, to: number) {
  return z.string().regex(/^\d+$/).transform(Number).pipe(z.int().min(from).max(to))
    .describe(`a whole number of ${unit} from ${from} to ${to}`);
}

/** Exactly `true` or `false`. */
export function flag() {
  return z.enum(["true", "false"]).transform((text) => text === "true").describe("true or false");
}

/** One of a few words. */
export function oneOf<const Words extends readonly string[]>(words: Words) {
  return z.enum(words).describe(listed(words, "or"));
}

/** Some of a few words, separated by commas. */
export function someOf<const Words extends readonly string[]>(words: Words) {
  return commaList().pipe(z.array(z.enum(words)).min(1))
    .describe(`a comma-separated list of ${listed(words, "and")}`);
}

/** Words of a long list, separated by commas, each kept once. A wrong one's issue has in `params` the word `meant`. */
export function wordsOf(what: string, words: ReadonlySet<string>, most: number) {
  const word = z.string().superRefine((text, context) => {
    if (words.has(text)) return;
    context.addIssue({ code: "custom", input: text, params: { meant: nearest(text, words) } });
  });
  return commaList().transform((list) => [...new Set(list)]).pipe(z.array(word).min(1).max(most))
    .describe(`a comma-separated list of ${what}, ${most} at most`);
}

/** Names that Kubernetes lets namespaces have (RFC 1123 labels), separated by commas, each kept once. */
export function namespaces() {
  return commaList().transform((list) => [...new Set(list)])
    .pipe(z.array(z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)).min(1))
    .describe("a comma-separated list of namespaces");
}

/** Namespaces, or `none` by itself: an empty variable counts as unset, and could not switch a default off. */
export function namespacesOrNone() {
  return z.string().transform((text) => text === "none" ? undefined : text).pipe(namespaces().optional())
    .transform((list) => list ?? [])
    .describe("a comma-separated list of namespaces, or none");
}

/** A Kubernetes label selector. The issue of a wrong one has in `params` the `problem`. */
export function labelSelector() {
  return z.string().transform((text, context): LabelSelector => {
    try {
      return parseLabelSelector(text);
    } catch (error) {
      if (!(error instanceof LabelSelectorError)) throw error;
      context.addIssue({ code: "custom", input: text, params: { problem: error.problem } });
      return z.NEVER;
    }
  }).describe("a label selector as kubectl's -l does");
}

/** Any text, such as a path relative or absolute. */
export function anyText(what: string) {
  return z.string().describe(what);
}

export function absolutePath() {
  return z.string().startsWith("/").describe("an absolute path");
}

export function ipAddress() {
  return z.string().refine((text) => isIP(text) !== 0).describe("an IP address");
}

/** Paths, relative or absolute, separated by commas, each kept once. */
export function paths() {
  return commaList().transform((list) => [...new Set(list)]).pipe(z.array(z.string()).min(1))
    .describe("a comma-separated list of paths");
}

/** What a certificate can be for, separated by commas, each kept once. */
export function hosts() {
  const host = z.string().refine((text) =>
    isIP(text) !== 0 || /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i.test(text)
  );
  return commaList().transform((list) => [...new Set(list)]).pipe(z.array(host).min(1))
    .describe("a comma-separated list of DNS names and IP addresses");
}

/** Where to send requests to; a password does not belong into the environment. */
export function httpUrl() {
  return z.string().transform((text, context) => {
    const url = URL.parse(text);
    const plain = url && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
    if (plain && (url.protocol === "https:" || url.protocol === "http:")) return url;
    // In logs the message must not repeat a password, which URLs have behind one slash, two or none.
    context.addIssue({ code: "custom", input: text.replace(/^([a-z]+:)?[^]*@/i, "$1//…@") });
    return z.NEVER;
  }).describe("an https:// or http:// URL without user, query and fragment");
}

/** An address to listen on as `host:port`, IPv6 in brackets, all IPv4 addresses if the host is left out. */
export function listenAddress() {
  return z.string().transform((text, context) => {
    const [, ipv6, name = "", digits = ""] = /^(?:\[(.*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
    const port = Number(digits);
    const valid = ipv6 === undefined ? isHostName(name) : isIPv6(ipv6);
    if (digits !== "" && port <= 65535 && valid) return { hostname: ipv6 ?? (name || "0.0.0.0"), port };
    context.addIssue({ code: "custom", input: text });
    return z.NEVER;
  }).describe("host:port, such as 0.0.0.0:9090, [::]:9090 or :9090");
}

/** A field that may be left out. */
export function optional<Schema extends z.ZodType>(field: Schema): z.ZodOptional<Schema> {
  return field.optional().describe(field.description ?? "");
}

function isHostName(name: string): boolean {
  return name === "" || isIPv4(name) || /^(?![\d.]+$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(name);
}

function commaList() {
  return z.string().transform((text) =>
    text.split(",").map((word) => word.trim()).filter((word) => word !== "")
  );
}

function listed(words: readonly string[], conjunction: string): string {
  return `${words.slice(0, -1).join(", ")} ${conjunction} ${words.at(-1)}`;
}

/** The kubelet's serving certificate, looked at before it is trusted. */
import type { Config } from "../config.ts";
import {
  certificateProblem,
  describeCertificate,
  type Expected,
  showCertificate,
  type ShownCertificate,
  unverifiedRisk,
} from "../discovery/kubelet_certificate.ts";
import { readAuthorities, type ReadFile } from "../discovery/kubelet_credentials.ts";
import { attempt, fail, type Finding, ok, warn } from "./finding.ts";

export type CertificateSettings = Pick<
  Config["kubelet"],
  "url" | "serverNames" | "caFiles" | "insecureTls" | "tokenFile" | "timeoutMs"
>;

const CHECK = "kubelet certificate";
const DAY_MS = 86_400_000;

/** Looks at the certificate that the kubelet shows; nothing over plain HTTP. Never rejects. */
export async function lookAtCertificate(
  settings: CertificateSettings,
  readFile: ReadFile,
): Promise<readonly Finding[]> {
  if (settings.url.protocol !== "https:") return [];
  const findings = await attempt(CHECK, () => verified(settings, readFile));
  return settings.insecureTls ? findings.map((finding) => unverified(finding, settings)) : findings;
}

async function verified(
  { url, serverNames: names, caFiles, timeoutMs }: CertificateSettings,
  readFile: ReadFile,
): Promise<Finding> {
  const { pem, source } = readAuthorities(caFiles, readFile);
  const shown = await showCertificate({ url, names, ca: pem, timeoutMs }).catch((error: Error) => error);
  if (shown instanceof Error) {
    return warn(CHECK, `not seen: ${shown.message}`, "first make the kubelet answer");
  }
  return certificateFinding(shown, { names, source }, Date.now());
}

/** What a certificate is worth for the agent at the time `now`. */
export function certificateFinding(shown: ShownCertificate, expected: Expected, now: number): Finding {
  const problem = certificateProblem(shown, expected, now);
  if (problem !== undefined) return fail(CHECK, problem.found, problem.advice);
  const found = describeCertificate(shown);
  if (shown.validTo.getTime() - now > DAY_MS) {
    return ok(CHECK, `${found}; fits ${shown.fittingName} and ${expected.source}`);
  }
  const advice =
    "see that the kubelet renews it (rotateCertificates, serverTLSBootstrap) before the agent loses it";
  return warn(CHECK, `${found}; ends in less than a day`, advice);
}

/** The same where the agent does not care: what that risks, and what would be in the way of verifying it. */
function unverified({ status, found, advice }: Finding, settings: CertificateSettings): Finding {
  const first = status === "ok" ? "" : `${advice}; then `;
  return warn(
    CHECK,
    `${unverifiedRisk(settings)}; ${found}`,
    `${first}unset KPOD_KUBELET_INSECURE_TLS`,
  );
}

/** Whether the web configuration can be used, and how long yet; loaded only where there is one. */
import { certificatesOf, describe } from "../web/pem.ts";
import { passwordProblem } from "../web/guarded_web.ts";
import { WebConfigError } from "../web/web_config_error.ts";
import { WebConfigFile } from "../web/web_config_file.ts";
import type { WebHost } from "../web/web.ts";
import type { TlsSettings, WebSettings } from "../web/web_settings.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

const CHECK = "web configuration";
const WEEK_MS = 7 * 86_400_000;

/** What is said of the file, and its settings if it can be used. */
export interface WebConfigLook {
  readonly finding: Finding;
  readonly settings: WebSettings | undefined;
}

/** Reads the file as the agent would. Never rejects. */
export async function lookAtWebConfig(
  path: string,
  { readFile, passwordFits }: Pick<WebHost, "readFile" | "passwordFits">,
  now = Date.now(),
): Promise<WebConfigLook> {
  const advice = `mend ${path}, or the files it names`;
  try {
    const silent = () => {};
    const log = { debug: silent, info: silent, warn: silent, error: silent };
    const { settings } = new WebConfigFile({ path, readFile, log });
    const problem = await passwordProblem(settings.users, passwordFits);
    const finding = problem === undefined ? settingsFinding(settings, now) : fail(CHECK, problem, advice);
    return { finding, settings };
  } catch (error) {
    const found = error instanceof WebConfigError ? error.problems.join("; ") : String(error);
    return { finding: fail(CHECK, found, advice), settings: undefined };
  }
}

function settingsFinding({ tls, users }: WebSettings, now: number): Finding {
  const access = users.size === 0 ? "no password asked" : `users with passwords: ${users.size}`;
  if (tls === undefined) return ok(CHECK, `plain HTTP; ${access}`);
  const [certificate] = certificatesOf(tls.cert);
  if (certificate === undefined) return fail(CHECK, "no certificate", "name one in tls_server_config");
  const found = `TLS by a certificate ${describe(certificate)}; ${CLIENTS[tls.clientAuth]}; ${access}`;
  const left = Date.parse(certificate.validTo) - now;
  if (left < 0) {
    return fail(CHECK, `${found}: it has expired`, "renew it: nobody who verifies it gets an answer");
  }
  if (left < WEEK_MS) return warn(CHECK, `${found}: less than a week`, "see that it is renewed in time");
  return ok(CHECK, found);
}

const CLIENTS: Readonly<Record<TlsSettings["clientAuth"], string>> = {
  NoClientCert: "no client certificate asked",
  VerifyClientCertIfGiven: "client certificates verified if given",
  RequireAndVerifyClientCert: "client certificates required",
};

/** Serving as a web configuration file says; loaded only where there is one. */
import type { Web, WebHost } from "./web.ts";
import { plain, watched } from "./web.ts";
import { listenTls, type TlsListener } from "./tls_listener.ts";
import { WebConfigError } from "./web_config_error.ts";
import { WebConfigFile } from "./web_config_file.ts";
import { WebGate } from "./web_gate.ts";

/** @throws {WebConfigError} if the file cannot be used. */
export async function createGuardedWeb(path: string, host: WebHost): Promise<Web> {
  const { log, readFile, passwordFits } = host;
  const file = new WebConfigFile({ path, readFile, log });
  const { tls, users } = file.settings;
  const problem = await passwordProblem(users, passwordFits);
  if (problem !== undefined) throw new WebConfigError(path, [problem]);
  const gate = new WebGate(file.settings, passwordFits, log);
  let listener: TlsListener | undefined;
  const listen = watched(
    tls === undefined
      ? plain(log)
      : async (address, answer) => listener = await listenTls(address, answer, tls),
    host,
  );
  return {
    gate,
    isSecure: tls !== undefined,
    families: () => file.families(),
    listen: async (address, answer) => {
      const listening = await listen(address, answer);
      file.start((settings) => {
        if (settings.tls !== undefined) listener?.use(settings.tls);
        gate.use(settings);
      });
      return {
        ...listening,
        shutdown: async () => {
          file.stop();
          await listening.shutdown();
        },
      };
    },
  };
}

/** What keeps passwords from being compared at all, for the operator. */
export async function passwordProblem(
  users: ReadonlyMap<string, string>,
  passwordFits: WebHost["passwordFits"],
): Promise<string | undefined> {
  const [hash] = users.values();
  if (hash === undefined) return undefined;
  try {
    await passwordFits(hash, new Uint8Array());
    return undefined;
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error);
    return `basic_auth_users: ${got}; install the library (Debian has it in libcrypt1), or leave the users out`;
  }
}

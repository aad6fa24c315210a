/** A certificate authority of its own, for a server and those who ask it. */

/** PEM texts. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

export interface LeafOptions {
  /** As openssl's `subjectAltName` takes them. @default none */
  readonly names?: string;
  readonly usage?: "serverAuth" | "clientAuth";
  /** What `openssl req -newkey` takes. @default EC on P-256 */
  readonly key?: string;
  /** @default 2 */
  readonly days?: number;
}

const P_256 = "ec -pkeyopt ec_paramgen_curve:P-256";

/** Makes certificates by the `openssl` command in a directory of its own, which goes with it. */
export class Authority implements AsyncDisposable {
  private constructor(readonly directory: string, readonly name: string) {}

  static async create(name = "authority"): Promise<Authority> {
    const authority = new Authority(await Deno.makeTempDir({ prefix: "kpod-authority-" }), name);
    await authority.#openssl(
      `req -x509 -newkey ${P_256} -nodes -days 2 -subj /CN=${name} -addext basicConstraints=critical,CA:TRUE ` +
        "-keyout ca.key -out ca.crt",
    );
    return authority;
  }

  /** PEM text. */
  get certificate(): string {
    return Deno.readTextFileSync(this.path("ca.crt"));
  }

  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  /** Makes `NAME.crt` and `NAME.key` and returns what is in them. */
  async sign(
    name: string,
    { names, usage = "serverAuth", key = P_256, days = 2 }: LeafOptions = {},
  ): Promise<Pair> {
    const alternatives = names === undefined ? "" : `subjectAltName=${names}\n`;
    const extensions = `basicConstraints=critical,CA:FALSE\nextendedKeyUsage=${usage}\n${alternatives}`;
    await Deno.writeTextFile(this.path(`${name}.ext`), extensions);
    await this.#openssl(`req -newkey ${key} -nodes -subj /CN=${name} -keyout ${name}.key -out ${name}.csr`);
    await this.#openssl(
      `x509 -req -in ${name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days ${days} ` +
        `-extfile ${name}.ext -out ${name}.crt`,
    );
    const [certificate, privateKey] = [`${name}.crt`, `${name}.key`].map((file) =>
      Deno.readTextFileSync(this.path(file))
    );
    return { certificate: certificate ?? "", key: privateKey ?? "" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }

  async #openssl(args: string): Promise<void> {
    const { success, stderr } = await new Deno.Command("openssl", {
      args: args.split(" "),
      cwd: this.directory,
      stdout: "null",
    }).output();
    if (success) return;
    throw new Error(`Cannot make a certificate: got ${new TextDecoder().decode(stderr).trim()} from openssl`);
  }
}

/** A certificate authority and a serving certificate such as a kubelet makes for itself. */

/** PEM texts. */
export interface Certificates {
  readonly ca: string;
  /** The serving certificate, and below it its CA's. */
  readonly certificate: string;
  readonly key: string;
}

/**
 * Makes both by the `openssl` command in `directory`, which must exist. As on a real node the serving
 * certificate has one name, a DNS name and no IP address, only its own CA verifies it, and the file `kubelet.crt` holds
 * both.
 */
export async function createCertificates(directory: string, hostname: string): Promise<Certificates> {
  const at = (name: string) => `${directory}/${name}`;
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const seconds = Math.floor(Date.now() / 1000);
  await openssl([
    ...["req", "-x509", ...newKey, "-days", "2", "-subj", `/CN=${hostname}-ca@${seconds}`],
    ...["-addext", "basicConstraints=critical,CA:TRUE", "-keyout", at("ca.key"), "-out", at("ca.crt")],
  ]);
  await openssl([
    ...["req", ...newKey, "-subj", `/CN=${hostname}@${seconds}`],
    ...["-keyout", at("kubelet.key"), "-out", at("kubelet.csr")],
  ]);
  await Deno.writeTextFile(
    at("kubelet.ext"),
    `basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:${hostname}\n`,
  );
  await openssl([
    ...["x509", "-req", "-in", at("kubelet.csr"), "-CA", at("ca.crt"), "-CAkey", at("ca.key")],
    ...["-CAcreateserial", "-days", "2", "-extfile", at("kubelet.ext"), "-out", at("kubelet.crt")],
  ]);
  const ca = await Deno.readTextFile(at("ca.crt"));
  await Deno.writeTextFile(at("kubelet.crt"), ca, { append: true });
  return {
    ca,
    certificate: await Deno.readTextFile(at("kubelet.crt")),
    key: await Deno.readTextFile(at("kubelet.key")),
  };
}

async function openssl(args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, stdout: "null" }).output();
  if (success) return;
  throw new Error(`Cannot make a certificate: got ${new TextDecoder().decode(stderr).trim()} from openssl`);
}

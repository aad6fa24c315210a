/**
 * The other end of a FUSE filesystem, which says how large it is and nothing more (include/uapi/linux/fuse.h). Until it
 * is started the filesystem does not answer.
 */
const SYMBOLS = {
  /** `long syscall(long number, ...)` with three arguments */
  syscall: { parameters: ["i64", "u64", "u64", "u64"], result: "i64" },
  /** `ssize_t read(int descriptor, void *buffer, size_t count)` */
  read: { parameters: ["i32", "buffer", "usize"], result: "isize", nonblocking: true },
  /** `ssize_t write(int descriptor, const void *buffer, size_t count)` */
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const [PIDFD_OPEN, PIDFD_GETFD] = [434n, 438n];
const [STATFS, INIT] = [17, 26];
const ENOSYS = 38;
const BLOCK_BYTES = 4096;

/** In blocks of 4096 bytes. */
export interface FuseSize {
  readonly blocks: bigint;
  readonly free: bigint;
  readonly available: bigint;
}

export class FuseServer implements AsyncDisposable {
  readonly #library = Deno.dlopen("libc.so.6", SYMBOLS);
  #descriptor = -1;
  #ended = Promise.resolve();

  /** Serves the filesystem whose other end is a descriptor of that process, until it is unmounted. */
  start(pid: number, descriptor: number, size: FuseSize): void {
    const { syscall, close } = this.#library.symbols;
    const process = syscall(PIDFD_OPEN, BigInt(pid), 0n, 0n);
    this.#descriptor = Number(syscall(PIDFD_GETFD, process, BigInt(descriptor), 0n));
    close(Number(process));
    if (this.#descriptor < 0) throw new Error(`Cannot take descriptor ${descriptor} of process ${pid}`);
    this.#ended = this.#serve(size);
  }

  /** Waits until the filesystem is unmounted: what sees the mount must end before. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ended;
    if (this.#descriptor >= 0) this.#library.symbols.close(this.#descriptor);
    this.#library.close();
  }

  async #serve(size: FuseSize): Promise<void> {
    const request = new Uint8Array(256 * 1024);
    while (await this.#library.symbols.read(this.#descriptor, request, BigInt(request.length)) > 0n) {
      const header = new DataView(request.buffer);
      const answer = answerTo(header.getUint32(4, true), header.getBigUint64(8, true), size);
      this.#library.symbols.write(this.#descriptor, answer, BigInt(answer.length));
    }
  }
}

/** `struct fuse_out_header` and what follows it. */
function answerTo(opcode: number, unique: bigint, size: FuseSize): Uint8Array<ArrayBuffer> {
  const body = opcode === INIT
    ? initOut()
    : opcode === STATFS
    ? statfsOut(size)
    : new DataView(new ArrayBuffer(0));
  const answer = new Uint8Array(16 + body.byteLength);
  const header = new DataView(answer.buffer);
  header.setUint32(0, answer.length, true);
  header.setInt32(4, body.byteLength === 0 ? -ENOSYS : 0, true);
  header.setBigUint64(8, unique, true);
  answer.set(new Uint8Array(body.buffer), 16);
  return answer;
}

/** `struct fuse_init_out`: version 7.31, which every kernel from 5.4 on speaks, and no features. */
function initOut(): DataView<ArrayBuffer> {
  const out = new DataView(new ArrayBuffer(64));
  out.setUint32(0, 7, true);
  out.setUint32(4, 31, true);
  out.setUint32(20, 4096, true);
  return out;
}

/** `struct fuse_kstatfs`. */
function statfsOut({ blocks, free, available }: FuseSize): DataView<ArrayBuffer> {
  const out = new DataView(new ArrayBuffer(80));
  [blocks, free, available].forEach((value, index) => out.setBigUint64(8 * index, value, true));
  out.setUint32(40, BLOCK_BYTES, true);
  out.setUint32(48, BLOCK_BYTES, true);
  return out;
}

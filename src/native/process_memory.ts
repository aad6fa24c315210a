/** What memory this process keeps. */
import { openLibrary } from "./library.ts";

/** Has malloc keep little that is free; before there are many threads. Where this libc cannot, nothing else is lost. */
export function spareMemory(): void {
  openLibrary().kpod_memory_spare();
}

/** Gives back what only the start needed. */
export function releaseMemory(): void {
  openLibrary().kpod_memory_release();
}

// Deadlines and aborts, without AbortSignal.any (which Node 18 does not have).

/** A signal that follows others and a deadline; `done` frees what it holds. @internal */
export interface Scope {
  signal: AbortSignal;
  abort: () => void;
  timedOut(): boolean;
  done(): void;
}

/** @internal */
export function scope(parents: readonly (AbortSignal | undefined)[], timeoutMs?: number): Scope {
  const controller = new AbortController();
  let late = false;
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          late = true;
          controller.abort();
        }, timeoutMs);
  const undo: (() => void)[] = [];
  for (const parent of parents) {
    if (!parent) continue;
    const follow = (): void => controller.abort(parent.reason);
    if (parent.aborted) follow();
    parent.addEventListener("abort", follow, { once: true });
    undo.push(() => parent.removeEventListener("abort", follow));
  }
  return {
    signal: controller.signal,
    abort: () => controller.abort(),
    timedOut: () => late,
    done: () => {
      clearTimeout(timer);
      for (const step of undo) step();
    },
  };
}

/** Waits; fails with the signal's reason once that is aborted. @internal */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** The pause before repetition n (0, 1, …): doubling, at most 2 s, half of it by chance. @internal */
export function backoff(n: number): number {
  const most = Math.min(2000, 50 * 2 ** n);
  return most / 2 + (Math.random() * most) / 2;
}

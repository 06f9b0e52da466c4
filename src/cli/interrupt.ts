/** Exit codes of a process that a signal ended. */
const codes = { SIGINT: 130, SIGTERM: 143 } as const;

export interface Interrupt extends Disposable {
  /** Aborted by the first Ctrl-C or SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal;
}

/** Watches for Ctrl-C and SIGTERM until disposed of; `first` is called once, on the first one. */
export function watchInterrupt(first: () => void): Interrupt {
  const controller = new AbortController();
  const handle = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(codes[name as keyof typeof codes]);
    controller.abort();
    first();
  };
  for (const name of Object.keys(codes)) process.on(name, handle);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of Object.keys(codes)) process.off(name, handle);
    },
  };
}

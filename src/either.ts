// Signals, one of which may be none.

/** One that is aborted with whichever of the two is first. */
export function either(signal: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return signal ? AbortSignal.any([signal, other]) : other;
}
